package tool

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// object keeps the order of a struct's fields, in which a model reads them.
type object struct {
	keys   []string
	values []any
}

func (o *object) set(key string, value any) {
	o.keys, o.values = append(o.keys, key), append(o.values, value)
}

func (o *object) MarshalJSON() ([]byte, error) {
	text := []byte{'{'}
	for index, key := range o.keys {
		if index > 0 {
			text = append(text, ',')
		}
		name, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(o.values[index])
		if err != nil {
			return nil, err
		}
		text = append(append(append(text, name...), ':'), value...)
	}
	return append(text, '}'), nil
}

func schemaOf[A any]() ([]byte, error) {
	kind := reflect.TypeFor[A]()
	if kind.Kind() != reflect.Struct {
		return nil, fmt.Errorf("the arguments are a %s, and have to be a struct", kind)
	}
	schema, err := schemaOfStruct(kind, 0)
	if err != nil {
		return nil, err
	}
	return json.Marshal(schema)
}

// Deeper is a type that contains itself.
const maxDepth = 16

func schemaOfStruct(kind reflect.Type, depth int) (*object, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%s contains itself or nests deeper than %d", kind, maxDepth)
	}
	properties, required := &object{}, []string{}
	for index := range kind.NumField() {
		field := kind.Field(index)
		name, optional, skipped := nameOf(field)
		if skipped {
			continue
		}
		schema, err := schemaOfType(field.Type, depth)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", field.Name, err)
		}
		if err := annotate(schema, field); err != nil {
			return nil, fmt.Errorf("field %s: %w", field.Name, err)
		}
		properties.set(name, schema)
		_, hasDefault := field.Tag.Lookup("default")
		if !optional && !hasDefault && field.Type.Kind() != reflect.Pointer {
			required = append(required, name)
		}
	}
	schema := &object{}
	schema.set("type", "object")
	schema.set("properties", properties)
	schema.set("required", required)
	schema.set("additionalProperties", false)
	return schema, nil
}

// nameOf is a field's name in JSON, whether it may be missing, and whether it is none.
func nameOf(field reflect.StructField) (name string, optional, skipped bool) {
	tag := field.Tag.Get("json")
	if !field.IsExported() || tag == "-" {
		return "", false, true
	}
	name, options, _ := strings.Cut(tag, ",")
	if name == "" {
		name = field.Name
	}
	return name, strings.Contains(options, "omitempty"), false
}

func schemaOfType(kind reflect.Type, depth int) (*object, error) {
	schema := &object{}
	switch kind.Kind() {
	case reflect.String:
		schema.set("type", "string")
	case reflect.Bool:
		schema.set("type", "boolean")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		schema.set("type", "integer")
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		schema.set("type", "integer")
		schema.set("minimum", 0)
	case reflect.Float32, reflect.Float64:
		schema.set("type", "number")
	case reflect.Pointer:
		return schemaOfType(kind.Elem(), depth)
	case reflect.Slice, reflect.Array:
		items, err := schemaOfType(kind.Elem(), depth+1)
		if err != nil {
			return nil, err
		}
		schema.set("type", "array")
		schema.set("items", items)
	case reflect.Map:
		if kind.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("the keys of %s have to be strings", kind)
		}
		values, err := schemaOfType(kind.Elem(), depth+1)
		if err != nil {
			return nil, err
		}
		schema.set("type", "object")
		schema.set("additionalProperties", values)
	case reflect.Struct:
		return schemaOfStruct(kind, depth+1)
	case reflect.Interface:
	default:
		return nil, fmt.Errorf("%s has no schema", kind)
	}
	return schema, nil
}

// annotate adds what the field's tags say.
func annotate(schema *object, field reflect.StructField) error {
	if description := field.Tag.Get("description"); description != "" {
		schema.set("description", description)
	}
	if text, ok := field.Tag.Lookup("enum"); ok {
		values := []any{}
		for _, word := range strings.Split(text, ",") {
			value, err := valueOf(field.Type, word)
			if err != nil {
				return err
			}
			values = append(values, value)
		}
		schema.set("enum", values)
	}
	for _, key := range []string{"minimum", "maximum", "default"} {
		if text, ok := field.Tag.Lookup(key); ok {
			value, err := valueOf(field.Type, text)
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			schema.set(key, value)
		}
	}
	return nil
}

// valueOf is the text of a tag as a value of the field's type.
func valueOf(kind reflect.Type, text string) (any, error) {
	if kind.Kind() == reflect.String {
		return text, nil
	}
	value := reflect.New(kind)
	if err := json.Unmarshal([]byte(text), value.Interface()); err != nil {
		return nil, fmt.Errorf("`%s` is no %s", text, kind)
	}
	return value.Elem().Interface(), nil
}

// setDefaults gives the fields of a struct the values of their tags.
func setDefaults(target any) error {
	value := reflect.ValueOf(target).Elem()
	for index := range value.NumField() {
		field := value.Type().Field(index)
		if text, ok := field.Tag.Lookup("default"); ok && field.IsExported() {
			set, err := valueOf(field.Type, text)
			if err != nil {
				return err
			}
			value.Field(index).Set(reflect.ValueOf(set).Convert(field.Type))
		} else if field.Type.Kind() == reflect.Struct && field.IsExported() {
			if err := setDefaults(value.Field(index).Addr().Interface()); err != nil {
				return err
			}
		}
	}
	return nil
}
