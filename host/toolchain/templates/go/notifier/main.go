// A notifier: it tells a person or a system what happened.
package main

import (
	"mlintern"
	"mlintern/notifier"
)

func init() { notifier.Handle(notify) }

func main() {}

type told struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"`
	Title string `json:"title"`
	Body  string `json:"body"`
	URL   string `json:"url,omitempty"`
}

func notify(notice notifier.Notice) (string, error) {
	url, found := mlintern.Config("url")
	if !found {
		return "", mlintern.Fail(mlintern.InvalidInput, "`url` is not set: set it in the notifier's `config`")
	}
	answer, err := mlintern.PostJSON(url, told{notice.ID, notice.Kind, notice.Title, notice.Body, notice.URL})
	if err != nil {
		return "", err
	}
	return "", answer.Check()
}
