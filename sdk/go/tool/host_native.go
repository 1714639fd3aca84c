//go:build !wasip1

package tool

import "mlintern"

// What tests keep: there is no host.
var kept = map[Bucket]map[string][]byte{Session: {}, Project: {}}

func (bucket Bucket) get(key string) ([]byte, bool, error) {
	value, found := kept[bucket][key]
	return value, found, nil
}

func (bucket Bucket) set(key string, value []byte) error {
	if kept[bucket] == nil {
		return mlintern.Fail(mlintern.NotFound, "no such key-value bucket")
	}
	kept[bucket][key] = value
	return nil
}

func (bucket Bucket) delete(key string) error {
	delete(kept[bucket], key)
	return nil
}
