package daemon

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"
)

// activated returns the listener that the service manager passed, or nil.
func activated() (net.Listener, error) {
	listeners, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("socket activation: %w", err)
	}
	switch len(listeners) {
	case 0:
		return nil, nil
	case 1:
		if _, ok := listeners[0].(*net.UnixListener); ok {
			return listeners[0], nil
		}
	}
	return nil, fmt.Errorf("socket activation: %d sockets were passed; one Unix stream socket is expected", len(listeners))
}

// notifyReady tells the service manager that the API is served, and keeps its
// watchdog content until the returned function is called. Without a service
// manager it does nothing.
func notifyReady(log *slog.Logger) (stop func()) {
	if _, err := sd.SdNotify(false, sd.SdNotifyReady); err != nil {
		log.Error("notify the service manager", "error", err)
	}
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil || interval <= 0 {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		beat := time.NewTicker(interval / 3)
		defer beat.Stop()
		for {
			select {
			case <-done:
				return
			case <-beat.C:
				_, _ = sd.SdNotify(false, sd.SdNotifyWatchdog) // the next beat tries again
			}
		}
	}()
	return func() { close(done) }
}

// notifyReloading and notifyReloaded stand around a reload (sd_notify(3)).
func notifyReloading() {
	_, _ = sd.SdNotify(false, sd.SdNotifyReloading+"\n"+sd.SdNotifyMonotonicUsec())
}

func notifyReloaded(status string) {
	_, _ = sd.SdNotify(false, sd.SdNotifyReady+"\nSTATUS="+strings.ReplaceAll(status, "\n", "; "))
}

func notifyStopping() { _, _ = sd.SdNotify(false, sd.SdNotifyStopping) }
