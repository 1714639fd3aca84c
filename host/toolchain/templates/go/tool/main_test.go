package main

import "testing"

func TestShortWordsAreLeftOut(t *testing.T) {
	if words := count(" one  two\nthree ", 4); words != 1 {
		t.Errorf("%d", words)
	}
}
