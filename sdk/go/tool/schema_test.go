package tool

import (
	"encoding/json"
	"testing"
)

type arguments struct {
	Source string   `json:"source" description:"A file."`
	Least  int      `json:"least" default:"1" minimum:"0"`
	Order  string   `json:"order,omitempty" enum:"up,down"`
	Tags   []string `json:"tags,omitempty"`
	hidden int
}

func TestASchemaIsThatOfTheStruct(t *testing.T) {
	schema, err := schemaOf[arguments]()
	if err != nil {
		t.Fatal(err)
	}
	expected := `{"type":"object","properties":{"source":{"type":"string","description":"A file."},` +
		`"least":{"type":"integer","minimum":0,"default":1},"order":{"type":"string","enum":["up","down"]},` +
		`"tags":{"type":"array","items":{"type":"string"}}},"required":["source"],"additionalProperties":false}`
	if string(schema) != expected {
		t.Errorf("%s", schema)
	}
	if !json.Valid(schema) {
		t.Error("no JSON")
	}
}

func TestDefaultsHoldWhereNothingIsSaid(t *testing.T) {
	parsed, err := parse[arguments](`{"source":"a"}`)
	if err != nil || parsed.Least != 1 || parsed.Source != "a" {
		t.Errorf("%+v %v", parsed, err)
	}
	if _, err := parse[arguments](`{"sauce":"a"}`); err == nil {
		t.Error("an unknown name was taken")
	}
	_ = parsed.hidden
}

func TestATypeWithoutASchemaIsNamed(t *testing.T) {
	type wrong struct{ F func() }
	if _, err := schemaOf[wrong](); err == nil {
		t.Error("a function has no schema")
	}
	type list struct{ Next []list }
	if _, err := schemaOf[list](); err == nil {
		t.Error("an endless type was taken")
	}
	if _, err := schemaOf[int](); err == nil {
		t.Error("an int is no struct")
	}
}
