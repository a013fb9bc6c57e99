package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// A drawing is an SVG in the making, in pixels from the top left corner. Its
// colours are those of style, and follow the reader's choice of light or dark.
type drawing struct {
	width, height float64
	body          strings.Builder
}

// style has the colours of Okabe and Ito, which the colour-blind can tell
// apart, made lighter where the page is dark.
const style = `text{font:12px system-ui,sans-serif;fill:#1f2328}
.title{font-weight:600}.small{font-size:11px;fill:#59636e}
.grid{stroke:#d1d9e0;fill:none}.guide{stroke:#818b98;stroke-dasharray:3 4;fill:none}
.c0{--c:#6e7781}.c1{--c:#0072b2}.c2{--c:#b86e00}.c3{--c:#c4450c}.c4{--c:#00805c}.c5{--c:#a4508b}
.line{stroke:var(--c);stroke-width:2;fill:none}.mark{fill:var(--c)}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}.grid{stroke:#3d444d}.guide{stroke:#656c76}
.c0{--c:#9ea7b3}.c1{--c:#56b4e9}.c2{--c:#f0b429}.c3{--c:#ff8552}.c4{--c:#2fc797}.c5{--c:#dd8fc4}}`

func (d *drawing) text(x, y float64, anchor, class, text string) {
	fmt.Fprintf(&d.body, `<text x="%s" y="%s" text-anchor="%s" class="%s">`, pixel(x), pixel(y), anchor, class)
	_ = xml.EscapeText(&d.body, []byte(text)) // a Builder has no errors
	d.body.WriteString("</text>\n")
}

func (d *drawing) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&d.body, `<line x1="%s" y1="%s" x2="%s" y2="%s" class="%s"/>`+"\n", pixel(x1), pixel(y1), pixel(x2), pixel(y2), class)
}

// curve draws a line through points.
func (d *drawing) curve(points []point, class string) {
	var at []string
	for _, p := range points {
		at = append(at, pixel(p.x)+","+pixel(p.y))
	}
	fmt.Fprintf(&d.body, `<polyline points="%s" class="line %s"/>`+"\n", strings.Join(at, " "), class)
}

// mark draws the mark of a class: each has a shape as well as a colour.
func (d *drawing) mark(x, y float64, class int) {
	shapes := [...]string{
		"M-5,-1.5h10v3h-10z",                    // a dash
		"M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z", // a disc
		"M-4.5,-4.5h9v9h-9z",                    // a square
		"M0,-6L6,0L0,6L-6,0z",                   // a diamond
		"M0,-5.5L5.5,4.5h-11z",                  // a triangle
		"M-2,-5h4v3h3v4h-3v3h-4v-3h-3v-4h3z",    // a cross
	}
	fmt.Fprintf(&d.body, `<path d="%s" transform="translate(%s,%s)" class="mark c%d"/>`+"\n", shapes[class], pixel(x), pixel(y), class)
}

// svg returns the file.
func (d *drawing) svg(title string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%[1]s" height="%[2]s" role="img">`+"\n<title>", pixel(d.width), pixel(d.height))
	_ = xml.EscapeText(&b, []byte(title)) // a Builder has no errors
	fmt.Fprintf(&b, "</title>\n<style>%s</style>\n%s</svg>\n", style, d.body.String())
	return []byte(b.String())
}

// pixel prints a coordinate. What is no number would hide the whole picture, so
// it is off the page instead.
func pixel(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		x = -999
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0")
}

// A point is one of a curve.
type point struct{ x, y float64 }

// A scale maps what was measured to pixels, by its logarithm unless it is
// linear.
type scale struct {
	low, high float64 // of what is measured
	from, to  float64 // pixels
	linear    bool
}

func (s scale) at(x float64) float64 {
	if s.linear {
		return s.from + (s.to-s.from)*(x-s.low)/(s.high-s.low)
	}
	return s.from + (s.to-s.from)*math.Log(x/s.low)/math.Log(s.high/s.low)
}

// decades returns the powers of ten around low and high.
func decades(low, high float64) (from, to float64) {
	from, to = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	if from == to {
		to *= 10
	}
	return from, to
}

// ticks returns where s has lines: at powers of ten, or in four steps.
func (s scale) ticks() (at []float64) {
	if s.linear {
		for i := range 5 {
			at = append(at, s.low+(s.high-s.low)*float64(i)/4)
		}
		return at
	}
	for x := s.low; x <= s.high*1.001; x *= 10 {
		at = append(at, x)
	}
	return at
}

// short prints a round number: 10, 10k, 1M.
func short(x float64) string {
	switch {
	case x >= 1e6:
		return fmt.Sprintf("%gM", math.Round(x/1e4)/100)
	case x >= 1e4:
		return fmt.Sprintf("%gk", math.Round(x/100)/10)
	}
	return fmt.Sprintf("%g", math.Round(x*1000)/1000)
}
