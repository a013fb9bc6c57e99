package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// A section is a part of the page.
type section int

const (
	underLoad section = iota
	growth
	collector
	counted
	sections
)

// A table is a part of the report.
type table struct {
	section     section
	title, note string
	head        []string
	rows        [][]string
}

// print writes t for a terminal.
func (t table) print(w io.Writer) error {
	fmt.Fprintf(w, "\n%s\n", t.title)
	if t.note != "" {
		fmt.Fprintf(w, "(%s)\n", t.note)
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range append([][]string{t.head}, t.rows...) {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// markdown returns t for a page.
func (t table) markdown() string {
	var b strings.Builder
	if t.title != "" {
		fmt.Fprintf(&b, "### %s\n\n", t.title)
	}
	if t.note != "" {
		fmt.Fprintf(&b, "%s\n\n", t.note)
	}
	line := func(row []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | ")) }
	line(t.head)
	rule := make([]string, len(t.head))
	for i := range rule {
		rule[i] = "---:"
	}
	rule[0] = "---"
	line(rule)
	for _, row := range t.rows {
		line(row)
	}
	return b.String() + "\n"
}

// spread prints a ratio with its quartiles.
func spread(d duel) string {
	return fmt.Sprintf("%s (%s–%s)", number(d.ratio), number(d.low), number(d.high))
}

// number prints three digits.
func number(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x > 0 && x < 0.01:
		return fmt.Sprintf("%.1g", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// micros prints a time in µs, or in ms if that is shorter.
func micros(d time.Duration) string {
	if d >= 10*time.Millisecond {
		return number(d.Seconds()*1000) + " ms"
	}
	return number(float64(d)/1000) + " µs"
}

// thousands prints n with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
