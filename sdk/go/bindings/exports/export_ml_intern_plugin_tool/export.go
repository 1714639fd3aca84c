//go:build wasip1

// Package export_ml_intern_plugin_tool is what the generated exports call.
package export_ml_intern_plugin_tool

import (
	"mlintern/bindings/imports/ml_intern_plugin_tool"
	"mlintern/bindings/imports/ml_intern_plugin_types"
	"mlintern/internal/wit/types"
)

// Set by the package mlintern/tool.
var (
	OnDescribe func() types.Result[[]ml_intern_plugin_tool.Descriptor, ml_intern_plugin_types.Error]
	OnCall     func(name, arguments string, context ml_intern_plugin_tool.Context) types.Result[ml_intern_plugin_tool.Output, ml_intern_plugin_types.Error]
)

func Describe() types.Result[[]ml_intern_plugin_tool.Descriptor, ml_intern_plugin_types.Error] {
	return OnDescribe()
}

func Call(name, arguments string, context ml_intern_plugin_tool.Context) types.Result[ml_intern_plugin_tool.Output, ml_intern_plugin_types.Error] {
	return OnCall(name, arguments, context)
}
