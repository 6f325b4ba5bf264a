package diff

// pure is embedded in the ops of this package. It says that their results are new and
// that they leave their inputs unchanged.
type pure struct{}

func (pure) ReturnsPtr() bool     { return false }
func (pure) CallsExtern() bool    { return false }
func (pure) OverwritesInput() int { return -1 }
