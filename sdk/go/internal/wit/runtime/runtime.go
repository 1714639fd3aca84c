//go:build wasip1

// Package runtime is what the generated bindings need of memory and handles.
package runtime

import (
	"runtime"
	"unsafe"
)

// Handle is a resource of the host, until somebody takes it.
type Handle struct{ value int32 }

func MakeHandle(value int32) *Handle { return &Handle{value} }

func (handle *Handle) Use() int32 {
	if handle.value == 0 {
		panic("a resource was used after it was given away")
	}
	return handle.value
}

func (handle *Handle) Take() int32 {
	value := handle.Use()
	handle.value = 0
	return value
}

func (handle *Handle) TakeOrNil() int32 {
	value := handle.value
	handle.value = 0
	return value
}

func (handle *Handle) Set(value int32) { handle.value = value }

// Allocate returns memory that stays where it is until the pinner lets go. Words keep every
// alignment of the component model.
func Allocate(pinner *runtime.Pinner, size, _ uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	memory := unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	pinner.Pin(memory)
	return memory
}

// What the host has written into this module and nobody has read yet.
var received runtime.Pinner

// Unpin says that what the host wrote is read from now on by ordinary references.
func Unpin() { received.Unpin() }

// Whether the runtime runs, so that its allocator may be called.
var started bool

func init() { started = true }

//go:linkname sbrk runtime.sbrk
func sbrk(bytes uintptr) unsafe.Pointer

// The collector looks at the clock, and a component may not call the host while the host asks it
// for memory: meanwhile the adapter answers with the last time that it knows.
//
//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func pauseClock(paused bool)

// The host asks for memory to write into. The first time is before the runtime has started.
//
//go:wasmexport cabi_realloc
func reallocate(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	if old != nil || oldSize != 0 {
		panic("the host never grows what it has written")
	}
	if !started {
		start := uintptr(sbrk(size + align - 1))
		return unsafe.Pointer((start + align - 1) &^ (align - 1))
	}
	pauseClock(true)
	memory := Allocate(&received, size, align)
	pauseClock(false)
	return memory
}
