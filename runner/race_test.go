//go:build race

package runner

// raceDetector makes everything several times slower.
const raceDetector = true
