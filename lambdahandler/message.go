package lambdahandler

import (
	"context"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/kinesisrecord"
)

// A messageHandler hands messages to a listener, each of which is one event.
type messageHandler struct {
	*options
	listener *mes.Listener
	unpacker kinesisrecord.Unpacker
}

func (h *messageHandler) init(name string, listener *mes.Listener, opts []ListenerOption) {
	h.listener = listener
	h.options = newOptions(name, wrongListener(listener), opts, ListenerOption.applyListener)
}

// listen returns the error of each message that is to be delivered again.
func (h *messageHandler) listen(ctx context.Context, records []mes.Record) map[int]error {
	limited, cancel := h.limit(ctx)
	defer cancel()
	failed := make(map[int]error)
	for begin := 0; begin < len(records); {
		end, size := begin, 0
		for ; end < len(records) && size <= maxPart; end++ {
			record := &records[end]
			if record.Err != nil || !kinesisrecord.Packed(record.Data) {
				continue
			}
			if err := limited.Err(); err != nil { // no time is left: neither is it for those before
				for ; begin < len(records); begin++ {
					failed[begin] = unopened(err)
				}
				break
			}
			if opened := h.unpacker.Open(record); opened > 0 { // its room may be larger than what is in it
				size += max(opened, cap(record.Data))
			}
		}
		if begin == len(records) {
			break
		}
		for _, f := range failuresOf(h.listener.Handle(limited, records[begin:end]), end-begin) {
			failed[begin+f.Index] = f.Err
		}
		for i := begin; i < end; i++ {
			records[i].Data = nil
		}
		begin = end
	}
	h.log(ctx, len(records), inOrder(failed, len(records)))
	return failed
}

// whole returns the error of a batch of which nothing less than all can be delivered
// again.
func whole(failed map[int]error, n int) error {
	for i := range n {
		if err := failed[i]; err != nil {
			return &unfinishedError{failed: len(failed), read: n, first: err}
		}
	}
	return nil
}
