package scenario

import (
	"archive/zip"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bottled/routes"
)

// A registry is where a client of this host fetches from, read at run time from the
// client itself: no name of one is written down here.
type registry struct {
	client string
	urls   func(*testing.T) []string // all that the client needs
	env    func(*testing.T) []string // what the host's own client is told by its user's configuration
	script string                    // fetches something small
	want   string
}

func registries() []registry {
	none := func(*testing.T) []string { return nil }
	return []registry{
		{
			client: "npm",
			urls:   func(t *testing.T) []string { return []string{npmRegistry(t)} },
			env:    func(t *testing.T) []string { return []string{"npm_config_registry=" + npmRegistry(t)} },
			script: "cd $HOME && npm pack is-number@7.0.0 && tar -xzOf is-number-7.0.0.tgz package/package.json",
			want:   `"version": "7.0.0"`,
		},
		{
			client: "go",
			urls:   func(t *testing.T) []string { return goProxies(t) },
			env:    func(t *testing.T) []string { return []string{"GOPROXY=" + goEnv(t, "GOPROXY"), "GOTOOLCHAIN=local"} },
			script: "cd $HOME && GOPATH=$HOME/go go mod download -json github.com/pkg/errors@v0.9.1 && ls $HOME/go/pkg/mod/github.com/pkg/errors@v0.9.1",
			want:   "errors.go",
		},
		{
			client: "pip",
			urls:   pipIndex,
			env:    none,
			script: "/usr/bin/python3 -m pip download --no-deps -d $HOME/d iniconfig==2.0.0 && ls $HOME/d",
			want:   "iniconfig-2.0.0",
		},
		{
			client: "cargo",
			urls:   cargoIndex,
			env:    none,
			script: "cp -r . $HOME/p && cd $HOME/p && CARGO_HOME=$HOME/cargo cargo fetch && ls $HOME/cargo/registry/src/*",
			want:   "cfg-if-1.0.0",
		},
		{
			client: "mvn",
			urls:   mavenCentral,
			env:    none,
			script: "cp pom.xml $HOME/ && cd $HOME && mvn -B -N validate && ls $HOME/.m2/repository/org/apache/apache/21/",
			want:   "apache-21.pom",
		},
		{
			client: "apt-get",
			urls:   aptSources,
			env:    none,
			// The lists are its own and only the index of what is small.
			script: `mkdir -p $HOME/lists/partial $HOME/cache/archives/partial
				apt-get -o Dir::State::Lists=$HOME/lists -o Dir::Cache=$HOME/cache -o Debug::NoLocking=1 -o Acquire::Languages=none \
					-o Acquire::IndexTargets::deb::Packages::DefaultEnabled=false -o APT::Update::Error-Mode=any update && ls $HOME/lists`,
			want: "InRelease",
		},
	}
}

// TestRegistries fetches something small with each, in a bottle that may reach what
// it needs and nothing else. It does not skip: a host without its registries fails.
func TestRegistries(t *testing.T) {
	c := toolchains{}.rust(t)
	d := startDaemon(t, c.wrap())
	dir := workDir(t, map[string]string{
		"Cargo.toml": "[package]\nname = \"p\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\ncfg-if = \"=1.0.0\"\n",
		"src/lib.rs": "",
		"pom.xml": `<project><modelVersion>4.0.0</modelVersion>
			<parent><groupId>org.apache</groupId><artifactId>apache</artifactId><version>21</version><relativePath/></parent>
			<artifactId>child</artifactId><packaging>pom</packaging></project>`,
	})
	for _, r := range registries() {
		t.Run(r.client, func(t *testing.T) {
			b := bottle{dir: dir, flags: c.flags(), manifest: registryManifest(t, r.urls(t))}
			for _, kv := range r.env(t) {
				b.flags = append(b.flags, "--env", kv)
			}
			denied := "\nstatus=$?\ncurl -sS https://elsewhere.example.com/\nexit $status"
			got := d.sh(t, b, r.script+denied)
			if !got.ok(r.want) {
				t.Errorf("fetch: %v", got)
			}
			if !strings.Contains(got.stdout, `"reason":"host-not-allowed"`) {
				t.Errorf("another host: %v", got)
			}
			b.manifest = "version: 1\ndefaults: false\n"
			if got := d.sh(t, b, r.script); got.code == 0 {
				t.Errorf("a bottle without the route: %v", got)
			}
		})
	}
}

// registryManifest allows the hosts of urls, at the addresses that they have here:
// where a mirror stands in for them these may be private ones.
func registryManifest(t *testing.T, urls []string) string {
	t.Helper()
	text := "version: 1\ndefaults: false\negress_proxy:\n  routes:\n"
	seen := map[string]bool{}
	for _, u := range urls {
		parsed, err := url.Parse(u)
		if err != nil || parsed.Hostname() == "" {
			t.Fatalf("%q is no registry: %v", u, err)
		}
		host := parsed.Hostname()
		if seen[host] {
			continue
		}
		seen[host] = true
		text += "    - host: " + host + "\n"
		if parsed.Port() != "" {
			text += "      ports: [" + parsed.Port() + "]\n"
		}
		if list := private(t, host); len(list) > 0 {
			text += "      allow_private: [" + strings.Join(list, ", ") + "]\n"
		}
	}
	return text
}

// private lists those addresses of host that a route has to allow.
func private(t *testing.T, host string) (list []string) {
	t.Helper()
	addrs, err := net.DefaultResolver.LookupNetIP(t.Context(), "ip", host)
	if err != nil {
		t.Fatalf("this scenario needs the network, and the name of a registry does not resolve: %v", err)
	}
	for _, a := range addrs {
		if p, err := routes.ParsePrivate(a.Unmap().String()); err == nil {
			list = append(list, p.String())
		} else if a = a.Unmap(); a.IsPrivate() || a == (netip.Addr{}) {
			t.Fatalf("%s: %v", a, err)
		}
	}
	return list
}

func npmRegistry(t *testing.T) string {
	return strings.TrimSpace(output(t, "npm", "config", "get", "registry"))
}

func goEnv(t *testing.T, name string) string { return strings.TrimSpace(output(t, "go", "env", name)) }

// goProxies are the proxies of GOPROXY. What they serve is checked against the
// checksum database, which a proxy may stand in for (go help module-auth).
func goProxies(t *testing.T) (urls []string) {
	for p := range strings.FieldsFuncSeq(goEnv(t, "GOPROXY"), func(r rune) bool { return r == ',' || r == '|' }) {
		if strings.Contains(p, "://") {
			urls = append(urls, p)
		}
	}
	db, _, _ := strings.Cut(goEnv(t, "GOSUMDB"), "+")
	if len(urls) > 0 && db != "off" && !serves(urls[0]+"/sumdb/"+db+"/supported") {
		urls = append(urls, "https://"+db)
	}
	return urls
}

func serves(url string) bool {
	resp, err := http.Get(url)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// pipIndex asks pip's own source for its index and for the host of its files.
func pipIndex(t *testing.T) []string {
	if configured := os.Getenv("PIP_INDEX_URL"); configured != "" {
		return []string{configured}
	}
	return strings.Fields(output(t, "/usr/bin/python3", "-c",
		"from pip._internal.models.index import PyPI as i; print(i.simple_url, 'https://' + i.file_storage_domain)"))
}

// cargoIndex has cargo name its index by keeping it from reaching it, and reads in
// the index where crates are.
func cargoIndex(t *testing.T) []string {
	dir := workDir(t, map[string]string{"Cargo.toml": "[package]\nname = \"p\"\nversion = \"0.1.0\"\n[dependencies]\ncfg-if = \"1\"\n", "src/lib.rs": ""})
	home := publicDir(t)
	said := execute(t, []string{"CARGO_HOME=" + home, "RUSTUP_HOME=" + rustupHome(t), "CARGO_NET_RETRY=0", "https_proxy=http://127.0.0.1:1"}, "",
		"cargo", "fetch", "--manifest-path", filepath.Join(dir, "Cargo.toml"))
	index := regexp.MustCompile(`https://[^\s"'\x60)]+config\.json`).FindString(said.stderr)
	if index == "" {
		t.Fatalf("cargo does not name its index: %v", said)
	}
	resp, err := http.Get(index)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var config struct{ DL string }
	if err := json.NewDecoder(resp.Body).Decode(&config); err != nil {
		t.Fatalf("%s: %v", resp.Status, err)
	}
	return []string{index, config.DL}
}

func rustupHome(t *testing.T) string {
	if dir := os.Getenv("RUSTUP_HOME"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(home, ".rustup")
}

// mavenCentral reads the model that every project inherits, in Maven's own archive.
func mavenCentral(t *testing.T) []string {
	jars, _ := filepath.Glob("/usr/share/maven*/lib/maven-model-builder*.jar")
	if len(jars) == 0 {
		t.Fatal("Maven's model builder is not under /usr/share")
	}
	jar, err := zip.OpenReader(jars[0])
	if err != nil {
		t.Fatal(err)
	}
	defer jar.Close()
	f, err := jar.Open("org/apache/maven/model/pom-4.0.0.xml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	var model struct {
		URLs []string `xml:"repositories>repository>url"`
	}
	if err := xml.Unmarshal(text, &model); err != nil || len(model.URLs) == 0 {
		t.Fatalf("the super POM names no repository: %v", err)
	}
	return model.URLs
}

// aptSources asks apt which files it would fetch.
func aptSources(t *testing.T) (urls []string) {
	for line := range strings.Lines(output(t, "apt-get", "indextargets", "--format", "$(SITE)")) {
		urls = append(urls, strings.TrimSpace(line))
	}
	if len(urls) == 0 {
		t.Fatal(fmt.Errorf("apt has no sources"))
	}
	return urls
}
