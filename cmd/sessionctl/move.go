package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// An export is a text of JSON objects, one a line: a header, a record for each
// session, and an end, without which it is known to be cut short. Records are as
// they are stored: what is sealed stays sealed, and a session's cookie opens it
// wherever it is.
type (
	exportHeader struct {
		Export int       `json:"sessionctl_export"` // exportFormat
		At     time.Time `json:"at"`                // before the first record was read
		Place  string    `json:"place"`             // without user and password
	}

	// An exportLine is one record, or the end.
	exportLine struct {
		ID      uuid.UUID `json:"id,omitzero"`
		Expires int64     `json:"expires,omitempty"` // Unix ms
		User    []byte    `json:"user,omitempty"`    // any bytes
		Data    []byte    `json:"data,omitempty"`

		End *int `json:"end,omitempty"` // how many records there were
	}
)

const exportFormat = 1

// record returns the record of a line.
func (l exportLine) record() backend.Record {
	return backend.Record{ID: l.ID, Expires: time.UnixMilli(l.Expires), User: string(l.User), Data: l.Data}
}

// An exportWriter writes an export.
type exportWriter struct {
	buffer  *bufio.Writer
	enc     *json.Encoder
	written int
}

func newExportWriter(w io.Writer, place string, now time.Time) (*exportWriter, error) {
	buffer := bufio.NewWriterSize(w, 1<<16)
	e := &exportWriter{buffer: buffer, enc: json.NewEncoder(buffer)}
	return e, e.enc.Encode(exportHeader{exportFormat, now.UTC(), place})
}

func (e *exportWriter) write(rec backend.Record) error {
	e.written++
	return e.enc.Encode(exportLine{ID: rec.ID, Expires: rec.Expires.UnixMilli(), User: []byte(rec.User), Data: rec.Data})
}

// end writes that this was all.
func (e *exportWriter) end() error {
	return errors.Join(e.enc.Encode(exportLine{End: &e.written}), e.buffer.Flush())
}

var errNoExport = errors.New("this is not what sessionctl export writes")

// An exportReader reads an export.
type exportReader struct {
	dec    *json.Decoder
	header exportHeader
	read   int
}

func newExportReader(r io.Reader) (*exportReader, error) {
	e := &exportReader{dec: json.NewDecoder(bufio.NewReaderSize(r, 1<<16))}
	if err := e.dec.Decode(&e.header); err != nil || e.header.Export == 0 {
		return nil, errNoExport
	}
	if e.header.Export != exportFormat {
		return nil, fmt.Errorf("this export has format %d, of a newer sessionctl: this one reads %d", e.header.Export, exportFormat)
	}
	return e, nil
}

// next returns the next record, io.EOF after all of them, and another error if
// the end is missing.
func (e *exportReader) next() (backend.Record, error) {
	var l exportLine
	if err := e.dec.Decode(&l); err != nil { // not repeated: it may quote data
		return backend.Record{}, fmt.Errorf("the export is cut short or damaged after %s: what was read is imported; run both again", plural(e.read, "session"))
	}
	switch {
	case l.End != nil && *l.End == e.read:
		return backend.Record{}, io.EOF
	case l.End != nil || l.ID == uuid.Nil:
		return backend.Record{}, fmt.Errorf("the export is damaged: after %s it has no record", plural(e.read, "session"))
	}
	e.read++
	return l.record(), nil
}

// outcome is what became of one record of an import.
type outcome int

const (
	created outcome = iota
	unchanged
	replaced
	kept    // another one is there
	expired // by now
)

// An importer puts records into a store.
type importer struct {
	store  backend.Store
	mirror bool // what differs is replaced
	now    func() time.Time
}

// attempts is how often a record that somebody else writes at the same time is
// tried again.
const attempts = 5

// put stores one record with its exact expiry. One that is there with the same
// content is left as it is, but that it may live longer; one with another content
// is replaced by a mirror, and kept by others.
func (im *importer) put(ctx context.Context, rec backend.Record) (outcome, error) {
	for range attempts {
		if !rec.Expires.After(im.now()) {
			return expired, nil
		}
		err := im.store.Create(ctx, rec)
		if err == nil {
			return created, nil
		}
		if !errors.Is(err, backend.ErrExists) {
			return 0, err
		}
		there, err := im.store.Load(ctx, rec.ID)
		switch {
		case errors.Is(err, backend.ErrNotFound): // expired there, and not swept
			err = im.store.Delete(ctx, rec.ID)
		case err == nil:
			var done outcome
			if done, err = im.meet(ctx, rec, there); err == nil {
				return done, nil
			}
		}
		if err != nil && !errors.Is(err, backend.ErrConflict) && !errors.Is(err, backend.ErrNotFound) {
			return 0, err
		}
	}
	return 0, errors.New("somebody else writes it all the time: stop the application first")
}

// meet is put for a record that is there already.
func (im *importer) meet(ctx context.Context, rec, there backend.Record) (outcome, error) {
	same := rec.User == there.User && string(rec.Data) == string(there.Data)
	later := rec.Expires.UnixMilli() - there.Expires.UnixMilli()
	switch {
	case same && later == 0, same && later < 0 && !im.mirror:
		return unchanged, nil
	case same && later > 0:
		return unchanged, im.store.Touch(ctx, rec.ID, rec.Expires)
	case !im.mirror:
		return kept, nil
	}
	rec.Version, rec.Shorten = there.Version, true
	return replaced, im.store.Update(ctx, rec)
}
