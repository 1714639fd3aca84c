// Package notifier is for plugins that tell a person or a system.
package notifier

import "mlintern"

// Notice is what happened.
type Notice struct {
	ID string
	// "turn_complete", "approval_required", "error", "job_finished", "budget", "message".
	Kind string
	// "info", "success", "warning", "error", "approval".
	Severity string
	// One line. Like the body it may hold a model's words.
	Title string
	// Markdown.
	Body string
	// Where to read more; empty for none.
	URL string
	// A JSON object that depends on Kind; empty for none.
	Data string
}

var (
	notify func(Notice) (externalID string, err error)
	poll   = func(string) (string, error) {
		return "", mlintern.Fail(mlintern.Unsupported, "there is no way back")
	}
)

// Handle says how a notice is sent; call it in init. The answer is the receiving service's id, or empty.
func Handle(send func(Notice) (externalID string, err error)) { notify = send }

// HandleReplies says how an answer to an earlier notice is looked for; an empty one is none.
func HandleReplies(look func(externalID string) (string, error)) { poll = look }
