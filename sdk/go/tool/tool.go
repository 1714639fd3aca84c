// Package tool is for plugins whose tools the model calls.
//
//	type arguments struct {
//		Path string `json:"path" description:"Relative to the workspace."`
//	}
//
//	func init() {
//		tool.Add("lines", "Counts the lines of a file.", lines, tool.ReadOnly)
//	}
//
//	func lines(call *tool.Call, arguments arguments) (any, error) { … }
//
//	func main() {}
package tool

import (
	"bytes"
	"encoding/json"
	"fmt"

	"mlintern"
)

// Effect says what a call does at most; the host holds it to that.
type Effect uint8

const (
	// ReadOnly: changes nothing, and may be repeated.
	ReadOnly Effect = 1 << iota
	// Idempotent: twice is the same as once.
	Idempotent
	// Destructive: may destroy what was there.
	Destructive
	// OpenWorld: reaches beyond the session, as to the network.
	OpenWorld
)

// Call is on whose behalf a tool runs.
type Call struct {
	Session string
	// The same when the call runs again after a crash.
	ID string
	// Left when the call starts.
	DeadlineMs uint32
}

// Output is an answer that is more than a value: several parts, or a failure that the model sees and
// may correct.
type Output struct {
	Text []string
	// A failure that the model sees; the turn goes on.
	IsError bool
}

// Correctable is an answer that the model reads as a failure, and tries again.
func Correctable(format string, values ...any) *Output {
	return &Output{Text: []string{fmt.Sprintf(format, values...)}, IsError: true}
}

type descriptor struct {
	name, description string
	schema            []byte
	effects           Effect
	run               func(call *Call, arguments string) (any, error)
}

var tools []descriptor

// Add adds a tool; call it in init. The schema of its arguments is that of A, a struct: `json` names
// a field and, with `omitempty`, makes it optional; `description` is read by the model; `default`,
// `enum` (values with commas between them), `minimum` and `maximum` are what JSON Schema calls so. A
// field with a default is optional. What run returns is a string, an *[Output], or a value that is sent
// as JSON. It panics where the type has no schema, which the first build shows.
func Add[A any](name, description string, run func(*Call, A) (any, error), effects ...Effect) {
	schema, err := schemaOf[A]()
	if err != nil {
		panic(fmt.Sprintf("tool %s: %v", name, err))
	}
	all := Effect(0)
	for _, effect := range effects {
		all |= effect
	}
	tools = append(tools, descriptor{name, description, schema, all, func(call *Call, text string) (any, error) {
		arguments, err := parse[A](text)
		if err != nil {
			return nil, err
		}
		return run(call, arguments)
	}})
}

// Run calls a tool by name, as the host does; for tests.
func Run(name, arguments string) (any, error) {
	return run(&Call{Session: "test", ID: "test", DeadlineMs: 60_000}, name, arguments)
}

// Schema is the JSON Schema of a tool's arguments; for tests.
func Schema(name string) string {
	for _, tool := range tools {
		if tool.name == name {
			return string(tool.schema)
		}
	}
	return ""
}

func run(call *Call, name, arguments string) (any, error) {
	for _, tool := range tools {
		if tool.name == name {
			return tool.run(call, arguments)
		}
	}
	return nil, mlintern.Fail(mlintern.NotFound, "unknown tool `%s`", name)
}

func parse[A any](text string) (A, error) {
	var arguments A
	if err := setDefaults(&arguments); err != nil {
		return arguments, err
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&arguments); err != nil {
		return arguments, mlintern.Fail(mlintern.InvalidInput, "arguments: %v", err)
	}
	return arguments, nil
}
