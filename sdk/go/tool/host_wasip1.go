//go:build wasip1

package tool

import (
	"encoding/json"
	"strings"

	"mlintern"
	export "mlintern/bindings/exports/export_ml_intern_plugin_tool"
	_ "mlintern/bindings/exports/wit_exports"
	contract "mlintern/bindings/imports/ml_intern_plugin_tool"
	"mlintern/bindings/imports/ml_intern_plugin_types"
	"mlintern/bindings/imports/wasi_keyvalue_store"
	"mlintern/internal/wit/types"
)

type (
	described = types.Result[[]contract.Descriptor, ml_intern_plugin_types.Error]
	answered  = types.Result[contract.Output, ml_intern_plugin_types.Error]
)

func init() {
	export.OnDescribe = describe
	export.OnCall = call
}

func describe() described {
	all := []contract.Descriptor{}
	for _, tool := range tools {
		all = append(all, contract.Descriptor{
			Name:        tool.name,
			Description: tool.description,
			InputSchema: string(tool.schema),
			Effects: contract.Effects{
				ReadOnly:    tool.effects&ReadOnly != 0,
				Idempotent:  tool.effects&(ReadOnly|Idempotent) != 0,
				Destructive: tool.effects&Destructive != 0,
				OpenWorld:   tool.effects&OpenWorld != 0,
			},
		})
	}
	return types.Ok[[]contract.Descriptor, ml_intern_plugin_types.Error](all)
}

func call(name, arguments string, context contract.Context) answered {
	call := &Call{Session: context.Session, ID: context.Call, DeadlineMs: context.DeadlineMs}
	answer, err := run(call, name, arguments)
	if err == nil {
		var output contract.Output
		if output, err = outputOf(answer); err == nil {
			return types.Ok[contract.Output, ml_intern_plugin_types.Error](output)
		}
	}
	return types.Err[contract.Output](mlintern.Lower(err))
}

func outputOf(answer any) (contract.Output, error) {
	switch answer := answer.(type) {
	case string:
		return contract.Output{Content: []contract.Content{contract.MakeContentText(answer)}}, nil
	case *Output:
		output := contract.Output{IsError: answer.IsError}
		for _, text := range answer.Text {
			output.Content = append(output.Content, contract.MakeContentText(text))
		}
		return output, nil
	default:
		text, err := json.Marshal(answer)
		if err != nil {
			return contract.Output{}, err
		}
		return contract.Output{Content: []contract.Content{contract.MakeContentJson(string(text))}}, nil
	}
}

func (bucket Bucket) open() (*wasi_keyvalue_store.Bucket, error) {
	opened := wasi_keyvalue_store.Open(string(bucket))
	if opened.IsErr() {
		return nil, failure(opened.Err())
	}
	return opened.Ok(), nil
}

func failure(err wasi_keyvalue_store.Error) error {
	switch err.Tag() {
	case wasi_keyvalue_store.Error_NoSuchStore:
		return mlintern.Fail(mlintern.NotFound, "no such key-value bucket")
	case wasi_keyvalue_store.Error_AccessDenied:
		return &mlintern.Failure{Code: mlintern.Denied, Capability: "keyvalue", Message: "the bucket is not this plugin's"}
	default:
		return mlintern.Fail(mlintern.Internal, "key-value store: %s", strings.Clone(err.Other()))
	}
}

func (bucket Bucket) get(key string) ([]byte, bool, error) {
	opened, err := bucket.open()
	if err != nil {
		return nil, false, err
	}
	defer opened.Drop()
	value := opened.Get(key)
	if value.IsErr() {
		return nil, false, failure(value.Err())
	}
	return value.Ok().Some(), value.Ok().Tag() == types.OptionSome, nil
}

func (bucket Bucket) set(key string, value []byte) error {
	opened, err := bucket.open()
	if err != nil {
		return err
	}
	defer opened.Drop()
	if set := opened.Set(key, value); set.IsErr() {
		return failure(set.Err())
	}
	return nil
}

func (bucket Bucket) delete(key string) error {
	opened, err := bucket.open()
	if err != nil {
		return err
	}
	defer opened.Drop()
	if gone := opened.Delete(key); gone.IsErr() {
		return failure(gone.Err())
	}
	return nil
}
