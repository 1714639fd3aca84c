//go:build wasip1

package provider

import (
	"mlintern"
	export "mlintern/bindings/exports/export_ml_intern_plugin_provider"
	_ "mlintern/bindings/exports/wit_exports"
	chat "mlintern/bindings/imports/ml_intern_plugin_chat"
	contract "mlintern/bindings/imports/ml_intern_plugin_provider"
	"mlintern/bindings/imports/ml_intern_plugin_sink"
	"mlintern/bindings/imports/ml_intern_plugin_types"
	"mlintern/internal/wit/types"
)

// In the order of the contract's cases.
var roles = []string{"system", "user", "assistant", "tool"}

func init() {
	export.OnModels = onModels
	export.OnComplete = onComplete
}

func show(text string) bool {
	return ml_intern_plugin_sink.Emit(ml_intern_plugin_sink.MakeDeltaText(text)) == ml_intern_plugin_types.Control_Proceed
}

func onModels() types.Result[contract.Listing, ml_intern_plugin_types.Error] {
	all, err := models()
	if err != nil {
		return types.Err[contract.Listing](mlintern.Lower(err))
	}
	listing := contract.Listing{}
	for _, model := range all {
		listing.Models = append(listing.Models, contract.Model{
			Id: model.ID, ContextWindow: model.ContextWindow, MaxOutput: model.MaxOutput, Tools: model.Tools,
		})
	}
	return types.Ok[contract.Listing, ml_intern_plugin_types.Error](listing)
}

func onComplete(request chat.Request) types.Result[chat.Response, ml_intern_plugin_types.Error] {
	reply := &Reply{stream: request.Stream}
	if err := complete(requestOf(request), reply); err != nil {
		return types.Err[chat.Response](mlintern.Lower(err))
	}
	return types.Ok[chat.Response, ml_intern_plugin_types.Error](responseOf(reply))
}

func responseOf(reply *Reply) chat.Response {
	response := chat.Response{Stop: chat.Stop_EndTurn}
	if reply.text != "" {
		response.Parts = append(response.Parts, chat.MakePartText(reply.text))
	}
	for _, call := range reply.calls {
		response.Stop = chat.Stop_ToolUse
		response.Parts = append(response.Parts, chat.MakePartCall(chat.ToolCall{
			Id: call.ID, Name: call.Name, Arguments: call.Arguments,
		}))
	}
	if reply.stopped {
		response.Stop = chat.Stop_Cancelled
	}
	response.Usage = chat.Usage{Input: reply.InputTokens, Output: reply.OutputTokens}
	return response
}

func requestOf(request chat.Request) Request {
	given := Request{
		Model: request.Model, MaxTokens: request.MaxTokens.Some(), Stream: request.Stream, Effort: request.Effort.Some(),
	}
	for _, tool := range request.Tools {
		given.Tools = append(given.Tools, Tool{tool.Name, tool.Description, tool.InputSchema})
	}
	for _, message := range request.Messages {
		given.Messages = append(given.Messages, messageOf(message))
	}
	return given
}

func messageOf(message chat.Message) Message {
	given := Message{}
	if int(message.Role) < len(roles) {
		given.Role = roles[message.Role]
	}
	for _, part := range message.Parts {
		switch part.Tag() {
		case chat.Part_Text:
			given.Text += part.Text()
		case chat.Part_Call:
			call := part.Call()
			given.Calls = append(given.Calls, ToolCall{call.Id, call.Name, call.Arguments})
		case chat.Part_Result:
			result := part.Result()
			given.Results = append(given.Results, ToolResult{result.CallId, result.Content, result.IsError})
		}
	}
	return given
}
