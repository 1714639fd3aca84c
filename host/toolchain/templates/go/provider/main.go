// A provider: it talks to a language model. This one says what it was told, word by word.
package main

import (
	"strings"

	"mlintern/provider"
)

func init() { provider.Handle(models, complete) }

func main() {}

func models() ([]provider.Model, error) {
	return []provider.Model{{ID: "echo", ContextWindow: 8192}}, nil
}

func complete(request provider.Request, reply *provider.Reply) error {
	input := ""
	for _, message := range request.Messages {
		if message.Role == "user" {
			input = message.Text
		}
	}
	for _, word := range strings.SplitAfter(input, " ") {
		reply.OutputTokens++
		if !reply.Say(word) {
			break
		}
	}
	reply.InputTokens = reply.OutputTokens
	return nil
}
