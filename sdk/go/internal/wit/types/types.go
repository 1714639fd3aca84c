// Package types has the generic types that the generated bindings are written in.
package types

const (
	OptionNone = 0
	OptionSome = 1
	ResultOk   = 0
	ResultErr  = 1
)

// Unit is the value of a result that carries none.
type Unit struct{}

// Option is a value that may be missing.
type Option[T any] struct {
	value T
	some  bool
}

func Some[T any](value T) Option[T] { return Option[T]{value, true} }

func None[T any]() Option[T] { return Option[T]{} }

// Tag is OptionNone or OptionSome.
func (option Option[T]) Tag() uint8 {
	if option.some {
		return OptionSome
	}
	return OptionNone
}

// Some is the value, or the zero value where it is missing.
func (option Option[T]) Some() T { return option.value }

// Result is a value or an error.
type Result[T, E any] struct {
	value  T
	error  E
	failed bool
}

func Ok[T, E any](value T) Result[T, E] { return Result[T, E]{value: value} }

func Err[T, E any](err E) Result[T, E] { return Result[T, E]{error: err, failed: true} }

// Tag is ResultOk or ResultErr.
func (result Result[T, E]) Tag() uint8 {
	if result.failed {
		return ResultErr
	}
	return ResultOk
}

func (result Result[T, E]) IsErr() bool { return result.failed }

func (result Result[T, E]) Ok() T { return result.value }

func (result Result[T, E]) Err() E { return result.error }

type Tuple2[A, B any] struct {
	F0 A
	F1 B
}

type Tuple3[A, B, C any] struct {
	F0 A
	F1 B
	F2 C
}
