package redisengine

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Changed implements [backend.Comparer]. Where all keys are on one server, it
// compares: one round trip, in which 25 bytes a record and the key go out, and only
// the changed ones come back. In a cluster it is a pipeline of GETRANGEs, nine bytes
// of each record, and the comparison is here.
func (s *Store) Changed(ctx context.Context, known []backend.Version) ([]uuid.UUID, error) {
	if len(known) == 0 {
		return nil, nil
	}
	find := s.changedEach
	if s.together(ctx) {
		find = s.changedTogether
	}
	changed, err := find(ctx, known)
	if err != nil {
		return nil, fmt.Errorf("%s: compare %d sessions: %w", s.name, len(known), err)
	}
	return changed, nil
}

// changedTogether has the server compare.
func (s *Store) changedTogether(ctx context.Context, known []backend.Version) ([]uuid.UUID, error) {
	words := make([]any, 0, 5+len(known))
	words = append(words, "EVALSHA", scriptHash, len(known))
	stamps := make([]byte, 0, len(known)*atExpires)
	for _, k := range known {
		words = append(words, s.Key(k.ID))
		stamps = append(stamps, stamp(k.Version)...)
	}
	words = append(words, "changed", stamps)
	reply, err := s.scriptWords(ctx, Command{Words: words, Key: words[3].(string), Again: true})
	if err != nil {
		return nil, err
	}
	numbers, ok := reply.([]any)
	if !ok && reply != nil {
		return nil, errReply
	}
	var changed []uuid.UUID
	for _, number := range numbers {
		i, ok := number.(int64)
		if !ok || i < 1 || i > int64(len(known)) {
			return nil, errReply
		}
		changed = append(changed, known[i-1].ID)
	}
	return changed, nil
}

// changedEach reads what the records begin with, wherever they are. A key that
// holds something else counts as changed.
func (s *Store) changedEach(ctx context.Context, known []backend.Version) (changed []uuid.UUID, err error) {
	for len(known) > 0 {
		batch := known[:min(loadBatch, len(known))]
		known = known[len(batch):]
		cmds := make([]Command, len(batch))
		for i, k := range batch {
			key := s.Key(k.ID)
			cmds[i] = Command{Words: []any{"GETRANGE", key, 0, atExpires - 1}, Key: key, Again: true}
		}
		values, err := s.many(ctx, cmds)
		if err != nil {
			return nil, err
		}
		for i, value := range values {
			refusal, refused := value.(Refusal)
			if refused && !Refused(refusal, "WRONGTYPE") {
				return nil, refusal
			}
			if head, _ := value.([]byte); string(head) != string(stamp(batch[i].Version)) {
				changed = append(changed, batch[i].ID)
			}
		}
	}
	return changed, nil
}
