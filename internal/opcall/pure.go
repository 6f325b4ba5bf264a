package opcall

// Pure is embedded in ops. It says that their results are new and that they leave their
// inputs unchanged.
type Pure struct{}

// ReturnsPtr is false.
func (Pure) ReturnsPtr() bool { return false }

// CallsExtern is false.
func (Pure) CallsExtern() bool { return false }

// OverwritesInput is -1, for none.
func (Pure) OverwritesInput() int { return -1 }
