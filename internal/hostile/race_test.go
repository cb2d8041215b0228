//go:build race

package hostile

// raceDetector takes several times the memory.
const raceDetector = true
