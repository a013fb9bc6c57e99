package migrate

import "github.com/google/uuid"

// MarkID returns the ID of the mark of an old session.
func MarkID(format, id string) (uuid.UUID, error) {
	m, err := newMark(format, id)
	return m.rec.ID, err
}
