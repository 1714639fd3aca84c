package mlintern

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Code names an error by what the caller does next.
type Code uint8

// In the order of the contract.
const (
	InvalidInput    Code = iota // correct the call
	Denied                      // outside the grant
	AuthRequired                // a credential is missing or was refused; the message is its name
	NotFound                    // no such tool, file, model, job
	Conflict                    // it exists already, or changed meanwhile
	Limit                       // a size, count, rate or budget
	Timeout                     // no time left
	Cancelled                   // somebody stopped it
	ContextOverflow             // providers: the model's context window is exceeded
	Upstream                    // a service failed
	Unsupported                 // the plugin cannot do this
	Internal                    // anything else
)

// Failure is an error of the contract.
type Failure struct {
	Code    Code
	Message string
	// Of Denied, such as "fs.read".
	Capability string
	// Of Upstream; 0 where the service was not reached.
	Status int
	// Of Upstream: the same request may succeed later.
	Retryable bool
}

func (failure *Failure) Error() string { return failure.Message }

// Fail makes an error. Lower case, no period at the end, the offending value in backticks.
func Fail(code Code, format string, values ...any) error {
	return &Failure{Code: code, Message: fmt.Sprintf(format, values...)}
}

// FailureOf is the contract's error that an error of Go comes closest to: a missing file is NotFound,
// a refused one Denied, an existing one Conflict, the rest Internal.
func FailureOf(err error) *Failure {
	var failure *Failure
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.Is(err, fs.ErrNotExist):
		return &Failure{Code: NotFound, Message: err.Error()}
	case errors.Is(err, fs.ErrExist):
		return &Failure{Code: Conflict, Message: err.Error()}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), isOutside(err):
		return &Failure{Code: Denied, Message: err.Error(), Capability: "fs"}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EFBIG):
		return &Failure{Code: Limit, Message: err.Error()}
	default:
		return &Failure{Code: Internal, Message: err.Error()}
	}
}
