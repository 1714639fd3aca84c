//go:build wasip1

// Package export_ml_intern_plugin_provider is what the generated exports call.
package export_ml_intern_plugin_provider

import (
	"mlintern/bindings/imports/ml_intern_plugin_chat"
	"mlintern/bindings/imports/ml_intern_plugin_provider"
	"mlintern/bindings/imports/ml_intern_plugin_types"
	"mlintern/internal/wit/types"
)

// Set by the package mlintern/provider.
var (
	OnModels   func() types.Result[ml_intern_plugin_provider.Listing, ml_intern_plugin_types.Error]
	OnComplete func(request ml_intern_plugin_chat.Request) types.Result[ml_intern_plugin_chat.Response, ml_intern_plugin_types.Error]
)

func Models() types.Result[ml_intern_plugin_provider.Listing, ml_intern_plugin_types.Error] {
	return OnModels()
}

func Complete(request ml_intern_plugin_chat.Request) types.Result[ml_intern_plugin_chat.Response, ml_intern_plugin_types.Error] {
	return OnComplete(request)
}

func CountTokens(ml_intern_plugin_chat.Request) types.Result[types.Option[uint32], ml_intern_plugin_types.Error] {
	return types.Ok[types.Option[uint32], ml_intern_plugin_types.Error](types.None[uint32]())
}
