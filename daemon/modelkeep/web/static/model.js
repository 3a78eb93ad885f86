// The view's own module; the frame around it is frame.js.
