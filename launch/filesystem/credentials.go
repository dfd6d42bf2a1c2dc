package filesystem

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"bottled/launch/identity"

	"golang.org/x/sys/unix"
)

// A Credential is a place below a home where programs keep what lets them act as
// the user somewhere else. A bottle gets credentials by injection only.
type Credential struct {
	Path     string   // below the home
	Contains []string // hidden only when the file has one of these in it; none means always
}

// Credentials is the table of what is hidden in every home. Files that mix
// settings with secrets are hidden only when they hold a secret, because the
// settings (a registry, a proxy) are what makes a program work.
var Credentials = slices.Concat(
	always(
		// keys and passwords
		".ssh", ".gnupg", ".password-store", ".netrc", "_netrc", ".pgpass", ".my.cnf", ".mylogin.cnf", ".vault-token",
		".age", ".config/sops", ".config/op", ".config/1Password", ".config/Bitwarden", ".config/keepassxc",
		".local/share/keyrings", ".local/share/kwalletd", ".pki/nssdb/key4.db",
		// clouds
		".aws", ".azure", ".config/gcloud", ".boto", ".oci", ".s3cfg", ".kube", ".minikube", ".docker",
		".config/containers/auth.json", ".config/doctl", ".config/hcloud", ".config/rclone", ".terraform.d/credentials.tfrc.json",
		".terraformrc", ".fly", ".config/netlify", ".config/firebase", ".config/configstore", ".wrangler",
		".local/share/com.vercel.cli", ".cloudflared", ".ngrok2", ".config/ngrok", ".databrickscfg",
		// forges and package registries
		".git-credentials", ".config/git/credentials", ".cache/git/credential", ".git-credential-cache", ".config/gh", ".config/hub", ".config/glab-cli",
		".pypirc", ".cargo/credentials", ".cargo/credentials.toml", ".m2/settings-security.xml", ".gem/credentials",
		".config/composer/auth.json", ".composer/auth.json", ".nuget/NuGet/NuGet.Config", ".hex/hex.config",
		".cache/huggingface/token",
		// agents
		".claude/.credentials.json", ".codex/auth.json", ".gemini/oauth_creds.json", ".config/github-copilot",
		".local/share/opencode/auth.json", ".config/openai", ".cursor/auth.json",
		// browsers and mail, with their sessions
		".mozilla", ".config/google-chrome", ".config/chromium", ".config/BraveSoftware", ".config/microsoft-edge",
		".thunderbird", ".config/Slack", ".config/discord", ".config/Signal", "snap/firefox", "snap/chromium",
		// wallets
		".bitcoin", ".ethereum", ".electrum", ".config/solana",
		// histories: secrets are typed
		".bash_history", ".zsh_history", ".sh_history", ".python_history", ".node_repl_history", ".psql_history",
		".mysql_history", ".local/share/fish/fish_history", ".lesshst", ".viminfo",
	),
	[]Credential{
		{".npmrc", []string{"_auth", "_password"}},
		{".yarnrc.yml", []string{"npmAuth"}},
		{".m2/settings.xml", []string{"<password>", "<passphrase>", "<privateKey>"}},
		{".gradle/gradle.properties", []string{"assword", "oken", "ecret"}},
		{".claude.json", []string{"primaryApiKey", "oauthAccount", "\"env\""}},
		{".condarc", []string{"/t/"}},
	},
)

func always(paths ...string) []Credential {
	list := make([]Credential, len(paths))
	for i, p := range paths {
		list[i].Path = p
	}
	return list
}

// findHidden returns the real paths of everything that is hidden: by the table,
// by Hidden, what a hidden link leads to, and the same files seen elsewhere.
func (b *builder) findHidden() []string {
	named := slices.Clone(b.Hidden)
	for _, home := range b.homes {
		for _, c := range Credentials {
			if path := filepath.Join(home, c.Path); len(c.Contains) == 0 || b.holds(path, c.Contains) {
				named = append(named, path)
			}
		}
	}
	hidden := make(map[string]bool, len(named))
	add := func(path string) {
		if slices.ContainsFunc(b.homes, func(home string) bool { return within(home, path) }) {
			return // it would hide a home or the root: a link that leads astray
		}
		for _, p := range aliases(b.mounts, path) {
			hidden[p] = true
		}
	}
	dirs := map[string]string{} // most share a few
	for _, p := range named {
		dir, known := dirs[filepath.Dir(p)]
		if !known {
			dir = filepath.Dir(resolve(p))
			dirs[filepath.Dir(p)] = dir
		}
		path := filepath.Join(dir, filepath.Base(p))
		add(path)
		if fi, err := os.Lstat(path); err == nil && fi.Mode()&os.ModeSymlink != 0 {
			if target, err := filepath.EvalSymlinks(path); err == nil {
				add(target)
			}
		}
	}
	// What lies in another one is hidden with it.
	maps.DeleteFunc(hidden, func(path string, _ bool) bool {
		for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
			if hidden[dir] {
				return true
			}
		}
		return false
	})
	return slices.Sorted(maps.Keys(hidden))
}

// holds reports whether the file has one of the words in it. What can not be read
// as the user, or not in whole, is taken to have.
func (b *builder) holds(path string, words []string) bool {
	if _, err := os.Lstat(path); err != nil && (os.IsNotExist(err) || errors.Is(err, unix.ENOTDIR)) {
		return false
	}
	const limit = 1 << 20
	var text []byte
	err := identity.As(b.User, func() error {
		f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO must not hold us up
		if err != nil {
			return err
		}
		defer f.Close()
		if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
			return unix.EINVAL
		}
		text, err = io.ReadAll(io.LimitReader(f, limit+1))
		return err
	})
	return err != nil || len(text) > limit || slices.ContainsFunc(words, func(w string) bool {
		return bytes.Contains(text, []byte(w))
	})
}
