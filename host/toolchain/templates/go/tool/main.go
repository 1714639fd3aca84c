// A tool: the model calls it, and reads what it returns.
package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"mlintern"
	"mlintern/tool"
)

type arguments struct {
	Path      string `json:"path" description:"Relative to the workspace."`
	MinLength int    `json:"min_length" description:"Count words of at least this many bytes." default:"1"`
}

type counted struct {
	Words int `json:"words"`
}

func init() {
	tool.Add("{{ident}}", "Counts the words of a file.", countWords, tool.ReadOnly)
}

func main() {}

func countWords(_ *tool.Call, arguments arguments) (any, error) {
	text, err := os.ReadFile("/workspace/" + arguments.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, mlintern.Fail(mlintern.NotFound, "no file `%s`", arguments.Path)
	}
	if err != nil {
		return nil, err
	}
	return counted{count(string(text), arguments.MinLength)}, nil
}

func count(text string, minLength int) int {
	words := 0
	for word := range strings.FieldsSeq(text) {
		if len(word) >= minLength {
			words++
		}
	}
	return words
}
