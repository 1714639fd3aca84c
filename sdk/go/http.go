package mlintern

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The most bytes of an answer's body, where a request does not say otherwise.
const defaultMaxBytes = 8 << 20

// Request is a request to the network. The host adds credentials and follows no redirects.
type Request struct {
	// GET where it is empty.
	Method string
	// Absolute, http or https.
	URL string
	// By name; a name may have several values.
	Header map[string][]string
	Body   []byte
	// Of the answer's body; 8 MiB where it is 0.
	MaxBytes int
}

// Response is an answer, whatever its status.
type Response struct {
	Status int
	// By name in lower case.
	Header map[string][]string
	Body   []byte
}

// Send sends the request and reads the whole answer. Denied: it is outside the grant; Timeout, Limit,
// Upstream: there was none.
func (request Request) Send() (*Response, error) { return send(request) }

// Get sends a GET request.
func Get(url string) (*Response, error) { return Request{URL: url}.Send() }

// PostJSON sends a value as JSON.
func PostJSON(url string, value any) (*Response, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	header := map[string][]string{"content-type": {"application/json"}}
	return Request{Method: "POST", URL: url, Header: header, Body: body}.Send()
}

// JSON reads the body into value.
func (response *Response) JSON(value any) error { return json.Unmarshal(response.Body, value) }

// Check is an Upstream error where the status is not 2xx.
func (response *Response) Check() error {
	if response.Status >= 200 && response.Status < 300 {
		return nil
	}
	const quoted = 300
	text := fmt.Sprintf("the service answers %d", response.Status)
	if body := bytes.TrimSpace(response.Body[:min(len(response.Body), quoted)]); len(body) > 0 {
		text += ": " + string(body)
	}
	retryable := response.Status == 429 || response.Status >= 500
	return &Failure{Code: Upstream, Message: text, Status: response.Status, Retryable: retryable}
}
