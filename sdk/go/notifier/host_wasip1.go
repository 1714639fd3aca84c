//go:build wasip1

package notifier

import (
	"mlintern"
	export "mlintern/bindings/exports/export_ml_intern_plugin_notifier"
	_ "mlintern/bindings/exports/wit_exports"
	contract "mlintern/bindings/imports/ml_intern_plugin_notifier"
	"mlintern/bindings/imports/ml_intern_plugin_types"
	"mlintern/internal/wit/types"
)

// In the order of the contract's cases.
var severities = []string{"info", "success", "warning", "error", "approval"}

func init() {
	export.OnNotify = onNotify
	export.OnPollReply = onPollReply
}

func textOf(text string) types.Option[string] {
	if text == "" {
		return types.None[string]()
	}
	return types.Some(text)
}

func onNotify(notice contract.Notice) types.Result[contract.Receipt, ml_intern_plugin_types.Error] {
	given := Notice{
		ID: notice.Id, Kind: notice.Kind, Title: notice.Title, Body: notice.Body,
		URL: notice.Url.Some(), Data: notice.Data.Some(),
	}
	if int(notice.Severity) < len(severities) {
		given.Severity = severities[notice.Severity]
	}
	externalID, err := notify(given)
	if err != nil {
		return types.Err[contract.Receipt](mlintern.Lower(err))
	}
	receipt := contract.Receipt{ExternalId: textOf(externalID)}
	return types.Ok[contract.Receipt, ml_intern_plugin_types.Error](receipt)
}

func onPollReply(externalID string) types.Result[types.Option[string], ml_intern_plugin_types.Error] {
	reply, err := poll(externalID)
	if err != nil {
		return types.Err[types.Option[string]](mlintern.Lower(err))
	}
	return types.Ok[types.Option[string], ml_intern_plugin_types.Error](textOf(reply))
}
