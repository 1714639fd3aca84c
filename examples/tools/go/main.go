package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"

	"mlintern"
	"mlintern/tool"
)

const maxBytes = 1 << 20

type arguments struct {
	Source    string `json:"source" description:"A file of the workspace, or a URL."`
	MinLength int    `json:"min_length" description:"Count words of at least this many bytes." default:"1"`
}

type counted struct {
	Source string `json:"source"`
	Words  int    `json:"words"`
	Bytes  int    `json:"bytes"`
	Calls  int    `json:"calls"`
}

func init() {
	tool.Add("word_count", "Counts the words of a file or of a page.", wordCount, tool.ReadOnly, tool.OpenWorld)
}

func main() {}

func wordCount(_ *tool.Call, arguments arguments) (any, error) {
	if arguments.Source == "" {
		return nil, mlintern.Fail(mlintern.InvalidInput, "source: must not be empty")
	}
	calls := 0
	if _, err := tool.Session.Get("calls", &calls); err != nil {
		return nil, err
	}
	calls++
	if err := tool.Session.Set("calls", calls); err != nil {
		return nil, err
	}

	if !mlintern.Progress("reading "+arguments.Source, 0) {
		return nil, mlintern.Fail(mlintern.Cancelled, "")
	}
	text, err := read(arguments.Source)
	if err != nil {
		return nil, err
	}
	words := count(text, arguments.MinLength)
	mlintern.Progress("counted", 1)
	return counted{arguments.Source, words, len(text), calls}, nil
}

func count(text []byte, minLength int) int {
	words := 0
	for _, word := range bytes.Fields(text) {
		if len(word) >= minLength {
			words++
		}
	}
	return words
}

func read(source string) ([]byte, error) {
	if !strings.HasPrefix(source, "http://") && !strings.HasPrefix(source, "https://") {
		text, err := os.ReadFile("/workspace/" + source)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, mlintern.Fail(mlintern.NotFound, "no file `%s`", source)
		}
		return text, err
	}
	page, err := mlintern.Request{URL: source, MaxBytes: maxBytes}.Send()
	if err != nil {
		return nil, err
	}
	if page.Status == 404 {
		return nil, mlintern.Fail(mlintern.NotFound, "no page `%s`", source)
	}
	return page.Body, page.Check()
}
