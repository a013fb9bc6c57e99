package main

import (
	"fmt"
	"image/color"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// colours are safe for the colour-blind (Okabe and Ito).
var colours = map[string]color.Color{
	nameRaw:     color.RGBA{R: 0x99, G: 0x99, B: 0x99, A: 0xff},
	nameOurs:    color.RGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff},
	nameSCS:     color.RGBA{R: 0xe6, G: 0x9f, B: 0x00, A: 0xff},
	nameGorilla: color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff},
	nameRedi:    color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff},
}

var charted = []string{nameRaw, nameOurs, nameSCS, nameGorilla}

// drawChart writes a chart of the time a request takes, read and write, on a
// logarithmic scale.
func (r *report) drawChart(path string) error {
	p, err := r.plot()
	if err != nil {
		return err
	}
	canvas := vgsvg.New(24*vg.Centimeter, 11*vg.Centimeter)
	p.Draw(draw.New(canvas))
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(f); err != nil {
		_ = f.Close() // err says more
		return err
	}
	return f.Close()
}

func (r *report) plot() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "Time a request (µs), the lower the better"
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Y.Min, p.Y.Max = 0.1, 0.2
	p.Add(plotter.NewGrid())
	shown := map[string]bool{}
	var names []string
	for g, group := range groups() {
		names = append(names, fmt.Sprintf("%s\n%s", map[scenario]string{read: "read", write: "write"}[group.scenario], title[group.kind]))
		times := r.timesOf(group.kind, group.scenario)
		for i, name := range charted {
			us, ok := times[name]
			if !ok {
				continue
			}
			left := float64(g) + (float64(i)-2)*0.2
			bar, err := plotter.NewPolygon(plotter.XYs{{X: left, Y: p.Y.Min}, {X: left + 0.2, Y: p.Y.Min}, {X: left + 0.2, Y: us}, {X: left, Y: us}})
			if err != nil {
				return nil, err
			}
			bar.Color, bar.LineStyle.Width = colours[name], 0
			p.Add(bar)
			p.Y.Max = max(p.Y.Max, us*8) // with room for the legend
			if !shown[name] {
				shown[name] = true
				p.Legend.Add(map[string]string{nameRaw: "chi + driver call (raw)", nameGorilla: "gorilla (file), redistore (Redis)"}[name]+plain(name), bar)
			}
		}
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.NominalX(names...)
	return p, nil
}

// plain returns the names that stand in the legend as they are.
func plain(name string) string {
	if name == nameRaw || name == nameGorilla {
		return ""
	}
	return name
}

type group struct {
	scenario scenario
	kind     string
}

func groups() (all []group) {
	for _, s := range []scenario{read, write} {
		for _, kind := range []string{inMemory, inFile, inRedis, inMariaDB} { // what fits on it
			all = append(all, group{s, kind})
		}
	}
	return all
}

// timesOf returns the time in µs of each charted library.
func (r *report) timesOf(kind string, s scenario) map[string]float64 {
	times := map[string]float64{}
	for _, f := range r.duels {
		if f.kind != kind || f.scenario != s {
			continue
		}
		name := f.b
		if name == nameRedi {
			name = nameGorilla
		}
		times[name] = float64(f.timeB) / 1000
		if f.b == nameRaw {
			times[nameOurs] = float64(f.timeA) / 1000
		}
	}
	return times
}
