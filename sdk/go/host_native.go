//go:build !wasip1

package mlintern

func isOutside(error) bool { return false }

// Log writes one line to the session's diagnostics.
func Log(Level, string) {}

// Progress shows message beside the running call; fraction is 0 to 1, or below 0 where nobody knows.
// False asks to end the call soon, with what there is.
func Progress(string, float64) bool { return true }

// Config is a key of the configuration, and whether anybody set it.
func Config(string) (string, bool) { return "", false }

// HasCredential says whether the user has set a value for a credential that the plugin requests.
func HasCredential(string) (bool, error) { return false, ErrNoHost }

func send(Request) (*Response, error) { return nil, ErrNoHost }
