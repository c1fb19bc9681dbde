// Checks a log with Go's own packages: signature, tiles, every entry against the signed head.
package main

import (
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type tiles struct{ dir string }

func (t tiles) Height() int                          { return 8 }
func (t tiles) SaveTiles([]tlog.Tile, [][]byte)      {}
func (t tiles) ReadTiles(ts []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range ts {
		// Go names them tile/8/0/000; C2SP tlog-tiles leaves the height out.
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.dir, path))
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

func read(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	return data
}

func main() {
	dir := os.Args[1]
	verifier, err := note.NewVerifier(strings.TrimSpace(string(read(filepath.Join(dir, "vkey")))))
	if err != nil {
		log.Fatal(err)
	}
	opened, err := note.Open(read(filepath.Join(dir, "checkpoint")), note.VerifierList(verifier))
	if err != nil {
		log.Fatal(err)
	}
	lines := strings.Split(opened.Text, "\n")
	var size int64
	fmt.Sscan(lines[1], &size)
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		log.Fatal(err)
	}
	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, tiles{dir})
	for next := int64(0); next < size; {
		path := fmt.Sprintf("tile/entries/%03d", next/256)
		if size-next < 256 {
			path += fmt.Sprintf(".p/%d", size-next)
		}
		bundle := read(filepath.Join(dir, path))
		for len(bundle) > 0 {
			n := int(binary.BigEndian.Uint16(bundle))
			entry := bundle[2 : 2+n]
			bundle = bundle[2+n:]
			hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, next)})
			if err != nil {
				log.Fatal(err)
			}
			if hashes[0] != tlog.RecordHash(entry) {
				log.Fatalf("entry %d altered", next)
			}
			next++
		}
	}
	fmt.Printf("%d entries agree with the signed head\n", size)
}
