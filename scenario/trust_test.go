package scenario

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const javaGet = `
import java.net.URI;
import java.net.http.*;
public class Get {
  public static void main(String[] a) throws Exception {
    var answer = HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(a[0])).build(), HttpResponse.BodyHandlers.ofString());
    System.out.println(answer.statusCode() + " " + answer.body());
  }
}`

const nodeGet = `require("https").get(process.argv[1], r => { console.log(r.statusCode); r.pipe(process.stdout) })`
const nodeFetch = `fetch(process.argv[1]).then(async r => console.log(r.status, await r.text()))`

const urllibGet = `
import sys, urllib.request, urllib.error
try:
    r = urllib.request.urlopen(sys.argv[1])
except urllib.error.HTTPError as e:
    r = e
print(r.status, r.read().decode())`

const requestsGet = `
import sys
sys.path.insert(0, "/srv/packages")
import requests
r = requests.get(sys.argv[1])
print(r.status_code, r.text)`

// clients are programs that get a URL, told nothing of authorities, and their ways
// of showing an answer whatever its status. URL is replaced.
var clients = []struct {
	name string
	argv []string
}{
	{"curl", []string{"curl", "-sS", "URL"}},
	{"wget", []string{"wget", "-qO-", "--content-on-error", "URL"}},
	{"python urllib", []string{"/usr/bin/python3", "-c", urllibGet, "URL"}},
	{"python requests", []string{"/usr/bin/python3", "-c", requestsGet, "URL"}},
	{"node https", []string{"node", "-e", nodeGet, "URL"}},
	{"node fetch", []string{"node", "-e", nodeFetch, "URL"}},
	{"go", []string{"./goclient", "URL"}},
	{"java", []string{"java", "-XX:TieredStopAtLevel=1", "Get.java", "URL"}},
	{"openssl", []string{"sh", "-c", `host=${1#https://} host=${host%/}; printf 'GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' $host |
		openssl s_client -quiet -verify_return_error -verify_hostname $host -connect $host:443`, "sh", "URL"}},
	{"deno", []string{"deno", "eval", `const r = await fetch(Deno.args[0]); console.log(r.status, await r.text())`, "URL"}},
}

// TestClientsTrustTheEnforcer has each get an allowed URL, and one that is not
// allowed: of the latter it shows the enforcer's 403, and the upstream sees nothing.
// That it is there to be seen is the control: a bottle that may reach it, does.
func TestClientsTrustTheEnforcer(t *testing.T) {
	c := toolchains{}.packages(t, "requests", "uv", "deno")
	w := newWorld(t, c.wrap()...)
	up, other := w.https(t, "api.example.com", greet), w.https(t, "other.example.com", greet)
	b := bottle{
		dir: workDir(t, map[string]string{"Get.java": javaGet, "goclient": goclient(t)}), flags: c.flags(),
		manifest: w.manifest(`- {host: api.example.com, allow_private: [127.0.0.0/8]}`),
	}
	for _, client := range clients {
		t.Run(client.name, func(t *testing.T) {
			get := func(b bottle, url string) result {
				argv := make([]string, len(client.argv))
				for i, a := range client.argv {
					argv[i] = strings.ReplaceAll(a, "URL", url)
				}
				return w.run(t, b, argv...)
			}
			before, beforeOther := len(up.Requests()), len(other.Requests())
			if r := get(b, "https://api.example.com/"); !r.ok(greeting) {
				t.Errorf("allowed: %v", r)
			}
			if len(up.Requests()) == before {
				t.Error("nothing reached the upstream")
			}
			if r := get(b, "https://other.example.com/"); !strings.Contains(r.stdout, "host-not-allowed") {
				t.Errorf("denied: %v", r)
			}
			if other.Opened() != beforeOther {
				t.Error("a connection reached the other upstream")
			}
		})
	}
	r := w.run(t, bottle{manifest: w.only("other.example.com")}, "curl", "-sS", "https://other.example.com/")
	if !r.ok(greeting) || len(other.Requests()) != 1 {
		t.Errorf("control: %v", r)
	}
}

// TestPackageManagersTrustTheEnforcer has those that speak to an index of their own kind.
func TestPackageManagersTrustTheEnforcer(t *testing.T) {
	c := toolchains{}.rust(t).packages(t, "requests", "uv", "deno")
	w := newWorld(t, c.wrap()...)
	w.https(t, "index.example.com", index(t).ServeHTTP)
	const at = "https://index.example.com"
	dir := workDir(t, map[string]string{
		"pom.xml":        fmt.Sprintf(pom, at),
		"apt/empty/none": "", "apt/sources.list": "deb [trusted=yes] " + at + "/apt/ ./\n",
	})
	for _, p := range []struct{ name, script, want string }{
		{"git", "git ls-remote " + at + "/repo.git", greeting},
		{"npm", "npm view --fetch-retries=0 --registry=" + at + "/npm/ greeting description", greeting},
		{"go", "GOPROXY=" + at + "/go GOSUMDB=off go list -m -versions example.com/m", "v1.2.3"},
		{"cargo", "cargo search --index sparse+" + at + "/cargo/ x", greeting},
		{"maven", "mvn -B -N validate", "BUILD SUCCESS"},
		{"pip", "/usr/bin/python3 -m pip download --index-url " + at + "/simple -d $HOME/d greeting && ls $HOME/d", "greeting-1.0-py3-none-any.whl"},
		{"uv", "uv pip install --no-python-downloads -p /usr/bin/python3 --default-index " + at + "/simple --target $HOME/t greeting 2>&1 && cat $HOME/t/greeting.py", greeting},
		{"apt", `mkdir -p $HOME/lists/partial $HOME/cache/archives/partial $HOME/d; cd $HOME/d
			set -- -o Dir::Etc::SourceList=$OLDPWD/apt/sources.list -o Dir::Etc::SourceParts=$OLDPWD/apt/empty -o Dir::State::Lists=$HOME/lists -o Dir::Cache=$HOME/cache
			apt-get "$@" -o Debug::NoLocking=1 update && apt-get "$@" download greeting && cat greeting*.deb`, greeting},
	} {
		t.Run(p.name, func(t *testing.T) {
			b := bottle{dir: dir, flags: append(c.flags(), "--env", "GOTOOLCHAIN=local", "--env", "GOFLAGS=-mod=mod"), manifest: w.only("index.example.com")}
			if r := w.sh(t, b, p.script); !r.ok(p.want) {
				t.Errorf("allowed: %v", r)
			}
			b.manifest = w.only("elsewhere.example.com")
			if r := w.sh(t, b, p.script); r.code == 0 {
				t.Errorf("not allowed, and yet: %v", r)
			}
		})
	}
}

const pom = `<project><modelVersion>4.0.0</modelVersion>
<parent><groupId>com.example</groupId><artifactId>parent</artifactId><version>1</version><relativePath/></parent>
<artifactId>child</artifactId><packaging>pom</packaging>
<repositories><repository><id>central</id><url>%s/maven</url></repository></repositories></project>`

// index is a little of every kind of package index.
func index(t *testing.T) *http.ServeMux {
	wheel := wheel(t)
	const deb = greeting + " as a package\n"
	files := map[string]string{
		"/repo.git/info/refs":                            fmt.Sprintf("%040d\trefs/heads/%s\n", 1, greeting),
		"/go/example.com/m/@v/list":                      "v1.2.3\n",
		"/go/example.com/m/@v/v1.2.3.info":               `{"Version":"v1.2.3"}`,
		"/go/example.com/m/@v/v1.2.3.mod":                "module example.com/m\n",
		"/npm/greeting":                                  `{"name":"greeting","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"greeting","version":"1.0.0","description":"` + greeting + `"}}}`,
		"/cargo/config.json":                             `{"dl":"https://index.example.com/dl","api":"https://index.example.com"}`,
		"/api/v1/crates":                                 `{"crates":[{"name":"` + greeting + `","description":"","max_version":"1.0.0"}],"meta":{"total":1}}`,
		"/maven/com/example/parent/1/parent-1.pom":       `<project><modelVersion>4.0.0</modelVersion><groupId>com.example</groupId><artifactId>parent</artifactId><version>1</version><packaging>pom</packaging></project>`,
		"/simple/greeting/greeting-1.0-py3-none-any.whl": wheel,
		"/apt/Packages":                                  fmt.Sprintf("Package: greeting\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nFilename: ./greeting_1.0_all.deb\nSize: %d\nSHA256: %x\nDescription: %s\n", len(deb), sha256.Sum256([]byte(deb)), greeting),
		"/apt/greeting_1.0_all.deb":                      deb,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		text, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, text)
	})
	mux.HandleFunc("/simple/greeting/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<a href="greeting-1.0-py3-none-any.whl#sha256=%x">greeting-1.0-py3-none-any.whl</a>`, sha256.Sum256([]byte(wheel)))
	})
	return mux
}

// wheel is a Python package in its distribution format (PEP 427).
func wheel(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range map[string]string{
		"greeting.py":                     "print('" + greeting + "')\n",
		"greeting-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n",
		"greeting-1.0.dist-info/WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"greeting-1.0.dist-info/RECORD":   "greeting.py,,\ngreeting-1.0.dist-info/METADATA,,\ngreeting-1.0.dist-info/WHEEL,,\ngreeting-1.0.dist-info/RECORD,,\n",
	} {
		f, err := z.Create(name)
		if err == nil {
			_, err = f.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
