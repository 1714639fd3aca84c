// Package provider is for plugins that talk to a language model.
package provider

// Model is one that the service has.
type Model struct {
	ID string
	// Tokens of input and output together; 0 where nobody knows.
	ContextWindow uint32
	// Tokens of output at most; 0 where nobody knows.
	MaxOutput uint32
	// Whether it can call tools.
	Tools bool
}

// Message is one of the conversation.
type Message struct {
	// "system", "user", "assistant" or "tool".
	Role string
	Text string
	// Of the assistant.
	Calls []ToolCall
	// Of a tool: answers to calls.
	Results []ToolResult
}

// ToolCall is a call that the model asks for.
type ToolCall struct {
	ID, Name string
	// JSON.
	Arguments string
}

// ToolResult is the answer to a call.
type ToolResult struct {
	CallID, Content string
	IsError         bool
}

// Tool is one that the model may call.
type Tool struct {
	Name, Description string
	// JSON Schema.
	InputSchema string
}

// Request is one model call.
type Request struct {
	Model    string
	Messages []Message
	Tools    []Tool
	// 0 for the service's own.
	MaxTokens uint32
	// Whether deltas are shown.
	Stream bool
	// How hard the model thinks; empty for as it does by itself.
	Effort string
}

// Reply is what the model answers, under way.
type Reply struct {
	// What the service counted.
	InputTokens, OutputTokens uint32
	text                      string
	calls                     []ToolCall
	stream, stopped           bool
}

// Say adds to the answer's text, and shows it to the user where the request is for a stream. False
// asks to return soon, with what there is.
func (reply *Reply) Say(text string) bool {
	reply.text += text
	if reply.stream && text != "" && !show(text) {
		reply.stopped = true
	}
	return !reply.stopped
}

// Call adds a call of a tool, at the end of the answer.
func (reply *Reply) Call(call ToolCall) { reply.calls = append(reply.calls, call) }

// Text is the answer so far.
func (reply *Reply) Text() string { return reply.text }

var (
	models   func() ([]Model, error)
	complete func(Request, *Reply) error
)

// Handle says what models there are and how one is called; call it in init.
func Handle(list func() ([]Model, error), answer func(Request, *Reply) error) {
	models, complete = list, answer
}
