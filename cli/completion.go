package cli

import (
	_ "embed"
	"fmt"
)

// The scripts ask `bottled ls` for names, and know the commands and flags by heart;
// a test holds them to the usage texts.
var (
	//go:embed completion/bottled.bash
	completionBash string
	//go:embed completion/bottled.zsh
	completionZsh string
	//go:embed completion/bottled.fish
	completionFish string
)

func (a *App) completion(args []string) (int, error) {
	f := flags("completion")
	if err := parse(f, args); err != nil {
		return 0, err
	}
	scripts := map[string]string{"bash": completionBash, "zsh": completionZsh, "fish": completionFish}
	script, ok := scripts[f.Arg(0)]
	if !ok || f.NArg() > 1 {
		return 0, usagef("name one of the shells bash, zsh and fish")
	}
	_, err := fmt.Fprint(a.Stdout, script)
	return 0, err
}
