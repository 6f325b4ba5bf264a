package diff

// pure is embedded by the ops of this package: their results are new, and their inputs are left
// as they are.
type pure struct{}

func (pure) ReturnsPtr() bool     { return false }
func (pure) CallsExtern() bool    { return false }
func (pure) OverwritesInput() int { return -1 }
