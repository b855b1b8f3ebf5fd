# What Pentimento says, in English. Sentence case, no full stop in labels, "…" where more input follows.

app-name = Pentimento

# Menus
menu-file = File
menu-edit = Edit
menu-canvas = Canvas
menu-generate = Generate
menu-view = View
menu-help = Help

# Actions: a label and a tooltip each
action-open-picture = Open picture…
action-open-picture-tip = Put a picture from a file on the canvas
action-paste = Paste picture
action-paste-tip = Put the picture on the clipboard on the canvas
action-save-canvas = Save a copy…
action-save-canvas-tip = Save what the canvas shows as a PNG file
action-copy-canvas = Copy picture
action-copy-canvas-tip = Put what the canvas shows on the clipboard
action-close-picture = Close picture
action-close-picture-tip = Empty the canvas; undo brings it back
action-add-model = Add model folder…
action-add-model-tip = Choose a folder with models: it is read in place, with all folders below it
action-open-models-folder = Open models folder
action-open-models-folder-tip = Show the folder where models belong in the file manager
action-refresh-models = Look for models again
action-refresh-models-tip = Look through all model folders again
action-open-library-folder = Open gallery folder
action-open-library-folder-tip = Show the folder of finished pictures in the file manager
action-settings = Settings
action-settings-tip = Theme, scale, previews, threads and folders
action-quit = Quit
action-quit-tip = End the program; draft and canvas are kept
action-undo = Undo
action-undo-tip = Take the last change of picture or mask back
action-redo = Redo
action-redo-tip = Do the change that was taken back again
action-select-all = Mask everything
action-select-all-tip = Have the whole picture repainted
action-invert-mask = Invert mask
action-invert-mask-tip = Swap what is repainted and what is kept
action-clear-mask = Clear mask
action-clear-mask-tip = Unmask everything
action-load-mask = Load mask…
action-load-mask-tip = Make a grey picture of the same size the mask
action-save-mask = Save mask…
action-save-mask-tip = Save the mask as a grey picture
action-accept = Accept result
action-accept-tip = Make the shown result the picture on the canvas
action-discard = Discard results
action-discard-tip = Let the results go; they stay in the gallery
action-flip = Flip before and after
action-flip-tip = Show the picture as it was, or the result
action-next-result = Next result
action-next-result-tip = Show the next result of the batch
action-previous-result = Previous result
action-previous-result-tip = Show the previous result of the batch
action-zoom-in = Zoom in
action-zoom-in-tip = Show the picture larger
action-zoom-out = Zoom out
action-zoom-out-tip = Show the picture smaller
action-zoom-fit = Fit picture to window
action-zoom-fit-tip = Show all of the picture
action-zoom-actual = Actual size
action-zoom-actual-tip = One pixel of the picture on one of the screen
action-generate = Generate
action-generate-tip = Make pictures from the draft; while one is being made, the next waits in the queue
action-cancel = Cancel
action-cancel-tip = Stop the running job; finished pictures stay
action-cancel-all = Cancel all jobs
action-cancel-all-tip = Stop the running job and empty the queue
action-focus-prompt = Go to the prompt
action-focus-prompt-tip = Put the cursor into the prompt field
action-dice-seed = Random seed
action-dice-seed-tip = Draw a new seed now and for each job
action-lock-seed = Lock the seed
action-lock-seed-tip = Keep the seed for every job, or let it go
action-use-last-seed = Use the last seed
action-use-last-seed-tip = Take over the seed of the latest picture and keep it
action-swap-size = Swap width and height
action-swap-size-tip = Turn a landscape into a portrait
action-model-defaults = Reset to the model's defaults
action-model-defaults-tip = Steps, guidance, sampler, schedule and size as the model wants them
action-palette = Find a command
action-palette-tip = Every command by name
action-focus-search = Search the gallery
action-focus-search-tip = Put the cursor into the gallery's search field
action-toggle-controls = Show or hide controls
action-toggle-controls-tip = The panel on the left
action-toggle-gallery = Show or hide gallery
action-toggle-gallery-tip = The panel on the right
action-scale-up = Larger interface
action-scale-up-tip = Make everything in the window larger
action-scale-down = Smaller interface
action-scale-down-tip = Make everything in the window smaller
action-scale-reset = Interface at 100 %
action-scale-reset-tip = Back to the system's own scale
action-theme-dark = Dark theme
action-theme-dark-tip = Light text on dark surfaces
action-theme-light = Light theme
action-theme-light-tip = Dark text on light surfaces
action-theme-system = System theme
action-theme-system-tip = As the system says
action-help = Keys and first steps
action-help-tip = How to begin, and every key
action-about = About Pentimento
action-about-tip = Version and licences

# Controls
prompt = Prompt
prompt-hint = Describe the picture…
negative-prompt = Negative prompt
template = Chosen from
negative-prompt-hint = What to keep out…
tokens-tip = Words as the model counts them: used and readable. Ctrl+Up and Ctrl+Down change a word's weight.
prompt-chosen = Chosen by the seed
prompt-part = Part with weight { $weight }
prompt-steps = Steps { $first } to { $last }
prompt-chunks = Read in { $count } chunks
prompt-more-spans = And { $count } further changes
tokens-cut = The last { $cut } of these tokens are cut: this model reads { $limit }.
model = Model
model-none = No model is here yet. Add a folder with one.
model-choose = Choose a model.
model-missing = “{ $model }” is not here. Choose another model or add its folder.
model-native = { $width } × { $height } px
model-hash = hash { $hash }
model-inpainting = Made for inpainting
model-problems = { $count ->
    [one] One model cannot be used
   *[other] { $count } models cannot be used
}
size = Size
width = Width
height = Height
side-width = W
side-height = H
size-native = This model is at its best at { $width } × { $height } px.
size-large = Much larger than the model knows: things may appear twice.
size-small = Much smaller than the model knows: pictures may fall apart.
sampling = Sampling
steps = Steps
guidance = Guidance
guidance-tip = How closely the picture follows the prompt; 1 switches guidance off
sampler = Sampler
schedule = Schedule
eta = Eta
eta-tip = Share of fresh noise in each step; 0 makes the sampler repeat itself with more steps
s-churn = Churn
s-churn-tip = Noise added before the steps, spread over all of them; 0 is off
s-tmin = From sigma
s-tmin-tip = Churn adds noise where sigma is at least this
s-tmax = To sigma
s-tmax-tip = Churn adds noise where sigma is at most this; 0 is no limit
s-noise = Noise factor
s-noise-tip = Factor on all fresh noise: above 1 brings detail, below 1 smooths
step-noise = Step noise
step-noise-tip = A path gives the same noise whatever the number of steps, as A1111 and ComfyUI do
step-noise-fresh = Step by step
step-noise-brownian = Path
rho = Rho
rho-tip = How the schedule is bent: higher lingers at the clean end (Karras), or hurries to it
sigmas = Sigmas
sigmas-decide = Steps and schedule come from the sigmas under Advanced.
sigmas-hint = from the schedule
sigmas-tip = Noise levels in place of a schedule, falling, such as 14.6 6 2.5 1 0.4; they set the steps
variety = Variety
seed = Seed
count = Pictures
advanced = Advanced
guidance-rescale = Rescale
guidance-rescale-tip = Tames the glaring colours of high guidance; 0 is off
weighting = Weights in prompts
weighting-tip = What (word:1.3) does to a word: the same prompt gives other pictures in other programs
weighting-a1111 = A1111
weighting-no-norm = No norm
weighting-comfy-ui = ComfyUI
noise = Noise source
noise-tip = The same seed draws other noise in other programs: choose which to follow
noise-torch-cpu = CPU (ComfyUI)
noise-philox = GPU (A1111)
precision = Precision
precision-tip = How numbers are held while painting; automatic takes the fastest that keeps the quality
precision-auto = Automatic
precision-auto-long = Automatic precision
precision-f32 = f32
precision-bf16 = bf16
start = Start from
start-new = Nothing
start-variation = Picture
start-repaint = Mask
start-new-note = A new picture from the prompt; the canvas stays as it is until you accept a result.
start-variation-note = The whole picture is painted over.
start-repaint-note = Only what the mask covers is painted over; every other pixel stays.
start-size = Made at the picture's size, { $width } × { $height } px.
start-no-mask = Nothing is masked yet: paint over what is to change.
strength = Strength
strength-tip = How far the result may leave the picture; 1 forgets it
mask = Mask
mask-blur = Mask blur
mask-blur-tip = Softens the mask's edge inwards; pixels outside the painted mask never change
feather-preview = Show the softened edge
feather-preview-tip = Shows on the canvas how far the blur reaches
masked-content = Begin with
content-original = Picture
content-original-hint = The masked area as it is: for changes
content-fill = Fill
content-fill-hint = Colours of the surroundings: to remove things
content-noise = Noise
content-noise-hint = Latent noise: for something quite new
content-nothing = Nothing
content-nothing-hint = Empty latents: with high strength only
area = Area
area-tip = What the model sees: all of the picture, or the masked part with its surroundings, at the model's own size
area-whole = Whole picture
area-masked = Only the mask
area-masked-padding = Only the mask, { $padding } px around it
padding = Around it
padding-tip = Surroundings in pixels that the model sees beside the mask

# Generate
generate-new = Generate
generate-variation = Generate variation
generate-repaint = Repaint mask
generate-queue = Add to queue
generate-ready = { $keys } · { $count ->
    [one] one picture
   *[other] { $count } pictures
}
generate-busy = { $waiting ->
    [0] One job is running; the next one waits for it
    [one] One job is running, one is waiting
   *[other] One job is running, { $waiting } are waiting
}
generate-no-model = Choose a model first

# Status
status-ready = Ready
status-no-model = No model
status-waiting = Waiting
status-starting = Starting
status-cancelling = Cancelling
status-step = Step { $step } of { $steps }
status-picture = picture { $picture } of { $count }
status-left = { $left } left
stage-loading-model = Loading the model
stage-encoding-prompt = Reading the prompt
stage-encoding-picture = Reading the picture
stage-denoising = Painting
stage-decoding = Developing
stage-saving = Saving
progress = Progress
queue = Queue
queue-waiting = { $waiting ->
    [one] One waiting
   *[other] { $waiting } waiting
}
queue-empty = Nothing is waiting.
cancel-job = Cancel job { $job }
duration-s = { $s } s
duration-min = { $min } min { $s } s
duration-h = { $h } h { $min } min

# Gallery
gallery = Gallery
gallery-search = Search prompts
gallery-search-hint = Search
gallery-starred = Only starred pictures
gallery-empty = Finished pictures gather here.
gallery-nothing-found = No picture fits this search.
picture = Picture
previous = Previous picture
next = Next picture
send-to-canvas = Send to canvas
use-recipe = Use this recipe
restore-draft = Back to my controls
copy-recipe = Copy recipe
recipe-none = This picture does not say how it was made.
copy-picture = Copy picture
save-copy = Save a copy…
show-in-folder = Show in folder
star = Star
unstar = Remove star
delete = Delete
time = Time
device = Device
unmasked = Unmasked
unmasked-verified = Every pixel outside the mask is unchanged
unmasked-differs = Pixels outside the mask differ
note = Note

# Empty canvas
welcome-title = What would you like to see?
welcome-note = Write a prompt on the left, or begin with one of these.
welcome-no-model = No model yet
welcome-no-model-note = Add a folder with models to begin: those of other programs are read in place.
welcome-example-tip = Put this into the prompt
welcome-drop = Or drop a picture here to work on it

# Dialogs
close = Close
dismiss = Dismiss
undo = Undo
discard = Discard
resume = Resume
copy-details = Copy details
palette-hint = Type a command…
palette-nothing = No command of that name
settings-look = Appearance
settings-engine = Engine
settings-folders = Folders
theme = Theme
theme-dark = Dark
theme-light = Light
theme-system = System
scale = Scale
settings-previews = Show pictures as they form
settings-threads-auto = Use all processor cores
settings-threads = Threads
settings-next-job = Previews and threads take effect with the next job.
settings-library = Gallery
settings-choose-library = Choose another folder…
settings-default-library = Back to the pictures folder
settings-library-next = When the queue is empty: { $folder }
settings-models = Models
remove-folder = Remove folder
help-step-1 = 1. Write what you would like to see, and press Ctrl+Enter. The picture forms on the canvas.
help-step-2 = 2. Finished pictures are saved at once and gather in the gallery on the right.
help-step-3 = 3. To change a part, send a picture to the canvas, paint over that part, and generate again: only the masked part is repainted.
help-step-4 = 4. Accept a result to go on from it, or discard it; it stays in the gallery either way.
help-brush-size = Smaller or larger brush
help-erase = Erase while held
help-straight = Straight line, square
help-move = Move the view while held
help-zoom = Zoom
help-space = Space
help-middle-button = Middle button
help-wheel = Wheel
about-version = Version { $version }
about-text = An offline studio for making and repairing pictures with diffusion models. Nothing leaves this machine.
about-licences = Licences
about-program-licence = Pentimento is free software under the MIT licence or the Apache licence 2.0, as you choose.
about-font-licences = Text is set in Inter (SIL Open Font License 1.1), icons are Material Symbols (Apache licence 2.0).
about-starter = The built-in model
unfinished-title = { $count ->
    [one] One job was not finished last time
   *[other] { $count } jobs were not finished last time
}
unfinished-note = Resume makes the pictures that are missing.

# Notices
notice-cancelled = Cancelled
notice-queued = { $ahead ->
    [one] Queued behind one job
   *[other] Queued behind { $ahead } jobs
}
notice-no-model = There is no model to paint with
notice-no-model-hint = Choose a model, or add a folder with one.
notice-no-mask = Nothing is masked
notice-no-mask-hint = Paint over what is to change, or start from the picture instead.
notice-recalled = Every control is as it was for this picture
notice-recall-no-model = The model “{ $model }” is not here
notice-recall-no-model-hint = The other controls are set. Choose another model or add its folder.
notice-recall-note = Not everything of this recipe could be taken over
notice-no-recipe = This picture does not say how it was made
notice-no-recipe-hint = You can send it to the canvas and work on it.
notice-carries-recipe = This picture carries its recipe
notice-carries-recipe-of = This picture carries its recipe, written by { $program }
notice-refreshing-models = Looking for models
notice-deleted = Picture deleted
notice-text-copied = Copied
notice-picture-copied = Picture copied
notice-copy-saved = Copy saved
notice-nothing-to-paste = There is no picture on the clipboard
notice-nothing-to-paste-hint = Copy a picture first, or drop a file on the canvas.
notice-no-clipboard = The clipboard cannot be used
notice-no-file-manager = No file manager could be started
notice-no-file-manager-hint = Open the place below by hand.
notice-busy = Too much is going on at once
notice-busy-hint = Try again in a moment.

# Engine errors: headline, and a hint where the engine does not bring a remedy
error-invalid = { $field } cannot be used
error-model-not-found = The model “{ $wanted }” is not here
error-model-not-found-hint = Choose another model, or add the folder that holds it.
error-unsupported-model = This model is not supported
error-bad-file = A file cannot be used
error-io = Cannot { $action } a file
error-cancelled = Cancelled
error-queue-full = The queue is full
error-queue-full-hint = It holds { $limit } jobs: wait until one is finished, or cancel one.
error-compute = The computation failed
error-compute-hint = Try a smaller size or f32 precision. If it happens again, report it with these details.
error-internal = Something went wrong inside the program
error-internal-hint = Nothing is lost and you can go on. Please report it with these details.
error-unknown = Something went wrong

# Canvas: files
type-path-note = This system offers no file dialog: type or paste the path.
type-path-hint = Path
type-path-done = Done
dialog-open-picture = Open picture
dialog-load-mask = Load mask
dialog-save-copy = Save a copy
dialog-model-folder = Choose a folder of models
dialog-library-folder = Choose a folder for the gallery
dialog-pictures = Pictures
dialog-png = PNG picture
pasted-picture = Pasted picture
untitled = Untitled

# Canvas
canvas = Canvas
canvas-preview = Preview
canvas-preview-step = Preview, step { $step } of { $steps }
canvas-before = Before
canvas-after = After
canvas-drop = Drop the picture to open it
tool-brush = Brush
tool-brush-hint = Paint what is to be repainted. Shift: a straight line; Alt or X: erase; [ and ]: size
tool-eraser = Eraser
tool-eraser-hint = Take paint away. Shift: a straight line; [ and ]: size
tool-rectangle = Rectangle
tool-rectangle-hint = Drag over what is to be repainted. Shift: a square; Alt or X: erase
tool-lasso = Lasso
tool-lasso-hint = Draw around what is to be repainted. Alt or X: erase
tool-fill = Fill
tool-fill-hint = Click an area of similar colours. Alt or X: erase
tool-pan = Hand
tool-pan-hint = Drag to move the view. With any tool: hold Space, or drag with the middle button
brush-size = Size
brush-size-tip = Width of the brush in picture pixels; [ and ] change it
brush-hardness = Hardness
brush-hardness-tip = How much of the brush paints fully; the rest fades out
fill-tolerance = Tolerance
fill-tolerance-tip = How far a colour may differ from the one that was clicked
fill-connected = Connected only
fill-connected-tip = Stop at edges instead of taking similar colours everywhere
mask-overlay = Mask display
mask-opacity = Opacity
clear-mask-on-accept = Clear mask when a result is accepted
compare-after = Show the result
compare-before = Show the picture before
compare-split = Show both sides
staging-one = Result
staging-position = { $at } of { $count }
notice-session-in-use = Another window keeps the session
notice-session-in-use-hint = What you do on this canvas is not kept when you close it.
notice-session-unreadable = The last canvas could not be restored
notice-session-unreadable-hint = Its file was set aside; the canvas starts empty.
