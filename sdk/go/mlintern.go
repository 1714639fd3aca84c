// Package mlintern is what plugins in Go share: errors, requests to the network, the log, the
// configuration. A plugin is a package main that imports mlintern/tool, mlintern/provider or
// mlintern/notifier, which of them says what kind it is, and registers itself in init.
//
// An instance lives for one call: nothing in memory is there the next time. Outside of a component,
// as in `go test`, every function that needs the host answers [ErrNoHost]; keep the logic apart.
package mlintern

import "errors"

// ErrNoHost is what functions of the host answer outside of a component.
var ErrNoHost = errors.New("there is no host outside of a component")

// Level says how much a line of the log matters. Users see Warn and Error.
type Level uint8

const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)
