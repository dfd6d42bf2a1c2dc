package identity

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// LeaveOOMScore gives up the protection from the OOM killer that the daemon's unit has
// and its children inherit: a negative score becomes 0. It is written in any case, since
// a writer with CAP_SYS_RESOURCE also sets the least score that the process and its
// children can go back to without (fs/proc/base.c, __set_oom_adj).
func LeaveOOMScore() error {
	const path = "/proc/self/oom_score_adj"
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	score, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(strconv.Itoa(max(score, 0))), 0)
}
