package mcp_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bottled/mcp"
)

// toolsHash is the SHA-256 of what tools/list returns. An agent's operator may
// have approved exactly this; whoever changes it raises the version beside
// tools.json.
const toolsHash = "c28007c63a16cefe9f6346b025463d6e91137ffcc88ac798a031921203aeb366"

func hashOfTools(t *testing.T, session *sdk.ClientSession) string {
	t.Helper()
	list, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(list.Tools)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func TestToolsAreTheFour(t *testing.T) {
	session := connect(t, serve(t, mcp.New(newSupervisor(), quick)), nil)
	list, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
		schema := tool.InputSchema.(map[string]any)
		if schema["type"] != "object" || schema["additionalProperties"] != false {
			t.Errorf("%s: the input schema is not closed", tool.Name)
		}
		if tool.Description == "" || tool.Annotations == nil || tool.Annotations.ReadOnlyHint != (tool.Name == mcp.ListTool) {
			t.Errorf("%s: description %q, annotations %+v", tool.Name, tool.Description, tool.Annotations)
		}
	}
	if want := []string{mcp.CapabilityTool, mcp.RouteTool, mcp.ListTool, mcp.ExemptionTool}; !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	if got := hashOfTools(t, session); got != toolsHash {
		t.Errorf("the tools changed: their hash is %s", got)
	}
	if c := session.InitializeResult().Capabilities; c.Tools == nil || c.Tools.ListChanged || c.Prompts != nil || c.Resources != nil {
		t.Errorf("capabilities %+v", c)
	}
}

// The words that the specification asks for.
func TestDescriptionsPointTheRightWay(t *testing.T) {
	session := connect(t, serve(t, mcp.New(newSupervisor(), quick)), nil)
	list, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range list.Tools {
		want := map[string][]string{
			mcp.ListTool:       {"no input", "no approval"},
			mcp.RouteTool:      {"403", "list-egress-proxy-routes"},
			mcp.ExemptionTool:  {"prefer egress-proxy-block", "DLP", "second gate"},
			mcp.CapabilityTool: {"mounts", "limits", "environment"},
		}[tool.Name]
		for _, words := range want {
			if !strings.Contains(tool.Description, words) {
				t.Errorf("%s does not say %q", tool.Name, words)
			}
		}
	}
}
