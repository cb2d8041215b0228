package unzstd

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// whole knows its size, streamed does not.
func whole(t testing.TB, data []byte) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	return encoder.EncodeAll(data, nil)
}

func streamed(t testing.TB, data []byte, flush int) []byte {
	t.Helper()
	var b bytes.Buffer
	encoder, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	require.NoError(t, err)
	for len(data) > 0 {
		n := min(flush, len(data))
		_, err = encoder.Write(data[:n])
		require.NoError(t, err)
		require.NoError(t, encoder.Flush())
		data = data[n:]
	}
	require.NoError(t, encoder.Close())
	return b.Bytes()
}

// rle is a frame without a size of blocks that are one byte, so many times.
func rle(blocks, size int) []byte {
	frame := []byte("\x28\xb5\x2f\xfd\x00\x58") // a window of 2 MiB
	for i := range blocks {
		header := uint32(size)<<3 | 1<<1
		if i == blocks-1 {
			header |= 1
		}
		frame = append(binary.LittleEndian.AppendUint32(frame, header)[:len(frame)+3], 'x')
	}
	return frame
}

func text(n int) []byte {
	dice := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, n)
	for i := range data {
		data[i] = "abcdefgh {}\":,"[dice.IntN(14)]
	}
	return data
}

func TestWhatIsOpenedIsWhatWasThere(t *testing.T) {
	opener := new(Opener)
	skippable := append([]byte("\x50\x2a\x4d\x18\x05\x00\x00\x00"), "12345"...)
	all := text(1 << 20)
	for _, n := range []int{0, 1, 100, 5000, maxBlock - 1, maxBlock, maxBlock + 1, 1 << 20} {
		data := all[:n]
		for name, packed := range map[string][]byte{
			"whole": whole(t, data), "streamed": streamed(t, data, maxBlock), "in small blocks": streamed(t, data, max(5000, n/100)),
			"two frames":      append(whole(t, data[:n/2]), streamed(t, data[n/2:], maxBlock)...),
			"and one to skip": append(append(skippable, whole(t, data[:n/3])...), whole(t, data[n/3:])...),
		} {
			for _, room := range []int{0, 10, n} {
				got, err := opener.Open(make([]byte, 0, room), packed, Limit)
				require.NoError(t, err, name)
				require.True(t, bytes.Equal(data, got), "%s of %d", name, n)
				require.Less(t, cap(got), 2*n+2*room+2*maxBlock, name)
			}
			bound, exact, err := size(packed, Limit)
			require.NoError(t, err)
			require.GreaterOrEqual(t, bound, n, name)
			if exact {
				require.Equal(t, bound, n, name)
			}
		}
	}
}

func TestPromise16TooMuchIsNotOpenedAtAll(t *testing.T) {
	opener := new(Opener)
	zeros := make([]byte, 40<<20)
	for name, packed := range map[string][]byte{
		"whole": whole(t, zeros), "streamed": streamed(t, zeros, 1<<20), "by one byte": whole(t, zeros[:Limit+1]),
		"by one byte, streamed": streamed(t, zeros[:Limit+1], maxBlock), "one byte, so many times": rle(300, maxBlock),
		"in many frames": bytes.Repeat(whole(t, zeros[:1<<20]), 100), "in many small frames": bytes.Repeat(streamed(t, zeros[:1<<10], 1<<10), 20_000),
		"in many blocks": streamed(t, zeros, 4000),
	} {
		_, err := opener.Open(nil, packed, Limit) // what the decoder keeps
		require.ErrorIs(t, err, ErrTooLarge, name)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = opener.Open(nil, packed, Limit)
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, ErrTooLarge, name)
		// All that it asks for, though it could give some back, and the test's own.
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(Limit+3*maxBlock), name)
	}
	for name, packed := range map[string][]byte{"whole": whole(t, zeros[:Limit]), "streamed": streamed(t, zeros[:Limit], 1<<20)} {
		got, err := opener.Open(nil, packed, Limit)
		require.NoError(t, err, name)
		require.Len(t, got, Limit)
	}
	// The bound of a caller that has used up a part of it.
	_, err := opener.Open(nil, whole(t, zeros[:1000]), 999)
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = opener.Open(nil, streamed(t, zeros[:1000], 1000), 999)
	require.ErrorIs(t, err, ErrTooLarge)
}

// What says that it holds a lot, and does not, keeps no room for it.
func TestPromise16ManyBlocksOfNothing(t *testing.T) {
	opener := new(Opener)
	data := bytes.Repeat(text(100), 30)
	packed := streamed(t, data, 100)
	bound, _, err := size(packed, Limit)
	require.NoError(t, err)
	require.Greater(t, bound, 3<<20)
	got, err := opener.Open(nil, packed, Limit)
	require.NoError(t, err)
	require.Equal(t, data, got)
	require.Less(t, cap(got), 10_000)
}

// claiming is a frame of one block of one byte whose header says that it holds more.
func claiming(size uint64) []byte {
	frame := binary.LittleEndian.AppendUint64([]byte("\x28\xb5\x2f\xfd\xe0"), size)
	return append(frame, 1<<3|1<<1|1, 0, 0, 'x')
}

// A header may say anything: no room is made for what is not there.
func TestPromise16NoRoomIsMadeForAClaim(t *testing.T) {
	opener := new(Opener)
	got, err := opener.Open(nil, claiming(1), Limit)
	require.NoError(t, err)
	require.Equal(t, "x", string(got))
	lies := [][]byte{claiming(2), claiming(Limit), claiming(1 << 62), append(whole(t, text(10)), claiming(Limit-10)...), whole(t, text(Limit))[:100]}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, packed := range lies {
		_, err = opener.Open(nil, packed, Limit)
		require.Error(t, err)
		require.Zero(t, Cost(packed, Limit))
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
	// What is broken only behind a good part of it has cost that.
	require.Equal(t, 3*maxBlock, Cost(append(rle(3, maxBlock), "\x28\xb5\x2f\xfd"...), Limit))
	require.Equal(t, Limit, Cost(rle(300, maxBlock), Limit))
}

func TestWhatIsBrokenStaysBroken(t *testing.T) {
	opener := new(Opener)
	data := text(300_000)
	for _, packed := range [][]byte{whole(t, data), streamed(t, data, 20_000)} {
		for cut := range len(packed) / 997 {
			_, err := opener.Open(nil, packed[:len(packed)-1-cut*997], Limit)
			require.Error(t, err)
			require.NotErrorIs(t, err, ErrTooLarge)
		}
	}
	_, err := opener.Open(nil, []byte("\x28\xb5\x2f\xfd"), Limit)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// FuzzOpen compares with the decoder left to itself.
func FuzzOpen(f *testing.F) {
	f.Add(whole(f, text(300)))
	f.Add(streamed(f, text(300), 100))
	f.Add(rle(40, maxBlock))
	f.Add(append(whole(f, text(10)), rle(3, 5)...))
	opener := new(Opener)
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(Limit), zstd.WithDecoderConcurrency(1))
	require.NoError(f, err)
	f.Cleanup(decoder.Close)
	f.Fuzz(func(t *testing.T, packed []byte) {
		want, wrong := decoder.DecodeAll(packed, nil)
		got, err := opener.Open(nil, packed, Limit)
		require.Equal(t, wrong == nil, err == nil, "%v, %v", wrong, err)
		if err != nil {
			return
		}
		require.True(t, bytes.Equal(want, got))
		if bound, _, _ := size(packed, Limit); len(want) > bound || len(want) > Cost(packed, Limit) {
			t.Fatalf("%d bytes, not %d at most", len(want), bound)
		}
	})
}
