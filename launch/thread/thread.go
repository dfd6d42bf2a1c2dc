// Package thread runs code on an operating system thread of its own.
package thread

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Run calls f locked to a thread that ends with it, so that whatever f does to
// the thread (its user, its namespaces) touches no other goroutine. f must not
// expect that of goroutines it starts.
func Run(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			// The main thread does not end, it would be parked as f left it. While
			// this goroutine holds it, another one runs elsewhere.
			err := Run(f)
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}
