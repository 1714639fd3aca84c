//go:build !wasip1

package provider

func show(string) bool { return true }
