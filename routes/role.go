package routes

import (
	"fmt"
	"slices"
	"strings"

	"bottled/strict"
)

// Placeholder is the value of the variables that a role sets: enough for a tool
// that refuses to start without a key, and of no use to anybody.
const Placeholder = "placeholder-the-real-token-is-injected-outside"

// A Role marks a route as the one that a known tool signs in to. The bottle's
// environment gets the variables in Env with [Placeholder] as their value.
type Role struct {
	Name string
	Env  []string
}

var knownRoles = []Role{
	{"anthropic_api_key", []string{"ANTHROPIC_API_KEY"}},
	{"claude_code_oauth", []string{"CLAUDE_CODE_OAUTH_TOKEN"}},
	{"cohere_api_key", []string{"COHERE_API_KEY"}},
	{"deepseek_api_key", []string{"DEEPSEEK_API_KEY"}},
	{"gemini_api_key", []string{"GEMINI_API_KEY", "GOOGLE_API_KEY"}},
	{"github", []string{"GH_TOKEN", "GITHUB_TOKEN"}},
	{"gitlab", []string{"GITLAB_TOKEN"}},
	{"groq_api_key", []string{"GROQ_API_KEY"}},
	{"huggingface", []string{"HF_TOKEN"}},
	{"mistral_api_key", []string{"MISTRAL_API_KEY"}},
	{"npm", []string{"NPM_TOKEN"}},
	{"openai_api_key", []string{"OPENAI_API_KEY"}},
	{"openrouter_api_key", []string{"OPENROUTER_API_KEY"}},
}

// Roles returns the known roles by name.
func Roles() []Role { return slices.Clone(knownRoles) }

// ParseRole returns the role of that name.
func ParseRole(name string) (Role, error) {
	names := make([]string, len(knownRoles))
	for i, r := range knownRoles {
		if r.Name == name {
			return r, nil
		}
		names[i] = r.Name
	}
	if near := strict.Nearest(name, names); near != "" {
		return Role{}, fmt.Errorf("unknown role %q: did you mean %q? The known ones are %s", clip(name), near, strings.Join(names, ", "))
	}
	return Role{}, fmt.Errorf("unknown role %q: the known ones are %s", clip(name), strings.Join(names, ", "))
}
