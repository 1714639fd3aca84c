package tool

import "encoding/json"

// Bucket is what a plugin keeps from call to call. No other plugin sees it.
type Bucket string

const (
	// Session lives as long as the session.
	Session Bucket = "session"
	// Project outlives the session, for the project in the workspace.
	Project Bucket = "project"
)

// Get reads a key into value, which stays as it is where the key was never set. The answer says
// whether it was.
func (bucket Bucket) Get(key string, value any) (bool, error) {
	text, found, err := bucket.get(key)
	if err != nil || !found {
		return false, err
	}
	return true, json.Unmarshal(text, value)
}

// Set keeps a value as JSON. A call that is held to read-only may do this.
func (bucket Bucket) Set(key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return bucket.set(key, text)
}

// Delete removes a key; one that is not there is no error.
func (bucket Bucket) Delete(key string) error { return bucket.delete(key) }
