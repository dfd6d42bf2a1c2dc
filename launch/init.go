package launch

import (
	"os"

	"bottled/launch/inside"
)

// initName is argv[0] of the child side. Nothing else is told by argv.
const initName = "bottled-init"

// Init is the child side. In a process that was started as "bottled-init" it
// does not return; in every other it does nothing.
func Init() {
	if len(os.Args) == 1 && os.Args[0] == initName {
		inside.Main()
	}
}
