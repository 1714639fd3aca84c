package main

import "testing"

func TestShortWordsAreLeftOut(t *testing.T) {
	if words := count([]byte(" one  two\nthree "), 4); words != 1 {
		t.Errorf("%d", words)
	}
	if words := count(nil, 1); words != 0 {
		t.Errorf("%d", words)
	}
}
