// Package docs holds the documents to the program.
package docs

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"bottled/audit"
	"bottled/metrics"
	"bottled/routes"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var example = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// Every example of a manifest is one, or is refused for the reason that it gives.
func TestManifestExamples(t *testing.T) {
	for _, name := range []string{"manifest.md", "../README.md"} {
		found := example.FindAllStringSubmatch(read(t, name), -1)
		if len(found) == 0 {
			t.Errorf("%s has no examples", name)
		}
		for _, m := range found {
			want, refused := "", strings.HasPrefix(m[1], "# error: ")
			if refused {
				want, _, _ = strings.Cut(strings.TrimPrefix(m[1], "# error: "), "\n")
			}
			manifest, err := routes.ParseManifest(name, []byte(m[1]))
			if err == nil && !refused {
				var e *routes.Effective
				if e, err = manifest.Effective(); err == nil {
					_, err = e.Table(1)
				}
			}
			if (err != nil) != refused || refused && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\n%s", name, err, m[1])
			}
		}
	}
}

// Every key that the parser takes, and every role and default host, is told of.
func TestManifestKeysAreDocumented(t *testing.T) {
	text := read(t, "manifest.md")
	object := regexp.MustCompile(`r\.Object\([^,\n]+, (?:"[a-z_.]*"|key), ((?:"[a-z_]+"(?:, )?)+)\)`)
	quoted := regexp.MustCompile(`"([a-z_]+)"`)
	keys := 0
	for _, source := range []string{"manifest.go", "settings.go", "upstream.go"} {
		for _, m := range object.FindAllStringSubmatch(read(t, filepath.Join("../routes", source)), -1) {
			for _, key := range quoted.FindAllStringSubmatch(m[1], -1) {
				keys++
				if !strings.Contains(text, "`"+key[1]+"`") {
					t.Errorf("key %q is not told of", key[1])
				}
			}
		}
	}
	if keys < 30 {
		t.Errorf("only %d keys were found in the parser", keys)
	}
	for _, role := range routes.Roles() {
		if !strings.Contains(text, "| `"+role.Name+"` | `"+strings.Join(role.Env, "`, `")+"` |") {
			t.Errorf("role %s is not told of as it is", role.Name)
		}
	}
	for _, host := range routes.DefaultAllowlist() {
		if !strings.Contains(text, "`"+host+"`") {
			t.Errorf("default host %s is not told of", host)
		}
	}
}

// page is a scrape with every series there is.
func page() string {
	r := &metrics.Recorder{Started: "started"}
	r.Record(audit.Event{Kind: audit.Control, Reason: "started"})
	r.Record(audit.Event{Kind: audit.Request, Bottle: "b", Reason: "host-not-allowed"})
	r.Record(audit.Event{Kind: audit.Kernel, Bottle: "b", Reason: "send-destination"})
	w := httptest.NewRecorder()
	r.Handler(metrics.Host{States: map[string]int{"running": 1}, Bottles: []metrics.Bottle{{ID: "b"}}}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return w.Body.String()
}

var name = regexp.MustCompile(`bottled_[a-z_]+`)

// The dashboard and the rules are well formed and ask for series that there are.
func TestDashboardAndAlerts(t *testing.T) {
	var dashboard struct {
		Title  string `json:"title"`
		Panels []struct {
			Title   string                  `json:"title"`
			Targets []struct{ Expr string } `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal([]byte(read(t, "grafana.json")), &dashboard); err != nil || dashboard.Title == "" || len(dashboard.Panels) < 6 {
		t.Fatalf("grafana.json: %v, %d panels", err, len(dashboard.Panels))
	}
	for _, p := range dashboard.Panels {
		if p.Title == "" || len(p.Targets) == 0 || p.Targets[0].Expr == "" {
			t.Errorf("grafana.json: panel %q asks for nothing", p.Title)
		}
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Load([]byte(read(t, "alerts.yaml")), &rules, yaml.WithKnownFields()); err != nil || len(rules.Groups) == 0 {
		t.Fatalf("alerts.yaml: %v", err)
	}
	for _, r := range rules.Groups[0].Rules {
		if r.Alert == "" || r.Expr == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Labels["severity"] == "" {
			t.Errorf("alerts.yaml: %+v", r)
		}
	}
	there := page()
	for _, file := range []string{"grafana.json", "alerts.yaml", "audit.md"} {
		for _, series := range name.FindAllString(read(t, file), -1) {
			if !strings.Contains(there, series+"{") && !strings.Contains(there, series+" ") {
				t.Errorf("%s: there is no %s", file, series)
			}
		}
	}
}

// Each relative link leads to a file.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	for _, dir := range []string{"..", "."} {
		files, err := filepath.Glob(filepath.Join(dir, "*.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			for _, m := range link.FindAllStringSubmatch(read(t, file), -1) {
				if _, err := os.Stat(filepath.Join(dir, m[1])); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
	}
}
