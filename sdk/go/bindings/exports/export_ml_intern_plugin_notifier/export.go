//go:build wasip1

// Package export_ml_intern_plugin_notifier is what the generated exports call.
package export_ml_intern_plugin_notifier

import (
	"mlintern/bindings/imports/ml_intern_plugin_notifier"
	"mlintern/bindings/imports/ml_intern_plugin_types"
	"mlintern/internal/wit/types"
)

// Set by the package mlintern/notifier.
var (
	OnNotify    func(notice ml_intern_plugin_notifier.Notice) types.Result[ml_intern_plugin_notifier.Receipt, ml_intern_plugin_types.Error]
	OnPollReply func(externalID string) types.Result[types.Option[string], ml_intern_plugin_types.Error]
)

func Notify(notice ml_intern_plugin_notifier.Notice) types.Result[ml_intern_plugin_notifier.Receipt, ml_intern_plugin_types.Error] {
	return OnNotify(notice)
}

func PollReply(externalID string) types.Result[types.Option[string], ml_intern_plugin_types.Error] {
	return OnPollReply(externalID)
}
