package mcp

import (
	_ "embed"
	"encoding/json"
	"fmt"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bottled/routes"
)

// The names of the tools.
const (
	ListTool       = routes.ListTool
	RouteTool      = routes.BlockTool
	ExemptionTool  = "pipelock-block"
	CapabilityTool = "capability-block"
)

// version is what the server says it is. It is raised with every change of
// tools.json, so that an agent's operator who pinned the tools sees it.
const version = "2.0.0"

//go:embed tools.json
var toolsJSON []byte

// tools returns the definitions of tools.json by name.
func tools() map[string]*sdk.Tool {
	var list []*sdk.Tool
	if err := json.Unmarshal(toolsJSON, &list); err != nil {
		panic(fmt.Sprintf("mcp: tools.json: %v", err)) // embedded, and a test reads it
	}
	byName := make(map[string]*sdk.Tool, len(list))
	for _, t := range list {
		byName[t.Name] = t
	}
	return byName
}

// newSDKServer returns a server that has no tool yet and never will say that its
// tools changed.
func newSDKServer() *sdk.Server {
	return sdk.NewServer(&sdk.Implementation{Name: "bottled", Title: "bottled", Version: version}, &sdk.ServerOptions{
		Instructions: "The network of this environment is limited to a list of routes. After an HTTP 403 of the egress proxy, look at " + ListTool + " and propose what is missing with " + RouteTool + ".",
		Capabilities: &sdk.ServerCapabilities{Tools: &sdk.ToolCapabilities{}},
	})
}
